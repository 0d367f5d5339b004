-- What is pending and due up to a moment, soonest first. What is so late that it is to be cancelled is left to
-- expire_candidates.sql. What is paused is due when the pause ends, and its lateness counts from there. What
-- has a pace is not among them (paces_load.sql). What stays paused for longer is passed over.
-- $1 until  $2 max lateness (us)  $3 the sender for rows that name none  $4 at most so many
-- $5 from (null: all)
with stopped as materialized (
  select o.scope, o.what from punctual.pauses o where o.until > $1::timestamptz
)
select m.id, m.version::bigint, m.attempts::int, m.priority::text, m.channel::text, m.account::text,
       lane_address!(m) as lane_address,
       case when p.until > clock_timestamp() then greatest(due!(m), p.until) else due!(m) end as due,
       due!(m) as planned,
       greatest(m.created_at, m.requeued_at) as written
  from public.scheduled_messages m
 cross join (select $3::text as sender, account_senders!() as senders) ours
 cross join lateral (select paused_until!(m) as until offset 0) p
 where m.status = 'pending'
   and due!(m) <= $1::timestamptz
   and due!(m) >= coalesce($5::timestamptz, '-infinity')
   and not is_stopped!(m)
   and not has_pace!(m)
   and greatest(late_from!(m), p.until) >= clock_timestamp() - $2::bigint * interval '1 microsecond'
 order by due!(m)
 limit $4::bigint
