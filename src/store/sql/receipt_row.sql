-- Holds the row a callback is about. It waits, for the lock time-out at most and holding
-- nothing: our own record of the request is often being written this moment.
-- $1 message
select m.status, m.twilio_sid, m.conversation_id, m.to_number, m.body, m.attempts::int,
       coalesce(m.max_attempts, 3)::int as max_attempts,
       greatest(m.scheduled_at, m.deferred_until, m.requeued_at) as wanted_at, m.send_before,
       clock_timestamp() as now
  from public.scheduled_messages m
 where m.id = $1::uuid
   for no key update
