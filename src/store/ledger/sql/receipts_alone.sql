-- Waits for a row that somebody holds, for the lock time-out at most and holding nothing: our own
-- record of the request is often being written this moment.
-- $1 message
select from public.scheduled_messages m where m.id = $1::uuid for no key update
