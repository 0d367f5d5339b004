-- Pauses what has reached its cap, unless somebody has paused it.
-- $1 scope  $2 which one  $3 until  $4 why
insert into punctual.pauses as p (scope, what, until, why, who)
values ($1::text, $2::text, $3::timestamptz, $4::text, 'cost cap')
on conflict (scope, what) do update
   set until = excluded.until, why = excluded.why, who = excluded.who, at = excluded.at
 where p.until <= clock_timestamp()
