-- Holds the row a callback is about. It waits, for the lock time-out at most and holding
-- nothing: our own record of the request is often being written this moment.
-- The text is the one that was sent, where a template was rendered.
-- $1 message  $2 token
select m.status, m.twilio_sid, m.conversation_id, m.to_number,
       coalesce((select a.body from punctual.attempts a where a.token = $2::uuid), m.body) as body,
       m.attempts::int,
       coalesce(m.max_attempts, 3)::int as max_attempts,
       wanted_at!(m) as wanted_at, m.send_before,
       clock_timestamp() as now
  from public.scheduled_messages m
 where m.id = $1::uuid
   for no key update
