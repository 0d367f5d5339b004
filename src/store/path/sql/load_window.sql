-- What is pending and due up to a moment, soonest first. What is so late that it is to be
-- cancelled is left to expire.sql.
-- $1 until  $2 max lateness (us)
select m.id, m.version::bigint, m.attempts::int, m.priority::text,
       greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due
  from public.scheduled_messages m
 where m.status = 'pending'
   and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= $1::timestamptz
   and greatest(m.scheduled_at, m.deferred_until, m.requeued_at)
       >= clock_timestamp() - $2::bigint * interval '1 microsecond'
 order by due
