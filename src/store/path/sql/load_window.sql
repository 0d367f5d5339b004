-- What is pending and due up to a moment, soonest first. What is so late that it is to be cancelled is left to
-- expire_candidates.sql.
-- $1 until  $2 max lateness (us)
select m.id, m.version::bigint, m.attempts::int, m.priority::text, m.channel::text,
       lane_address!(m) as lane_address,
       due!(m) as due, greatest(m.created_at, m.requeued_at) as written
  from public.scheduled_messages m
 where m.status = 'pending'
   and due!(m) <= $1::timestamptz
   and late_from!(m) >= clock_timestamp() - $2::bigint * interval '1 microsecond'
 order by due
