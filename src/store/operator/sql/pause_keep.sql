-- Pauses something, or changes how long and why it is paused. Also what this replaces: a pause that was in force.
-- $1 scope  $2 which one  $3 until  $4 why  $5 who; null: this session's role
with before as materialized (
  select p.until, p.why, p.who, p.at
    from punctual.pauses p
   where p.scope = $1::text and p.what = $2::text and p.until > clock_timestamp()
), kept as (
  insert into punctual.pauses as p (scope, what, until, why, who)
  values ($1::text, $2::text, $3::timestamptz, $4::text, coalesce($5::text, session_user))
  on conflict (scope, what) do update
     set until = excluded.until, why = excluded.why, who = excluded.who, at = excluded.at
  returning scope, what, until, why, who, at
)
select k.scope, k.what, k.until, k.why, k.who, k.at,
       b.until as was_until, b.why as was_why, b.who as was_who, b.at as was_at
  from kept k
  left join before b on true
