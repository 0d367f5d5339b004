-- Waits for a locked row, for the lock time-out at most and with no other lock: the record of the request's own
-- outcome is often being written at this moment.
-- $1 message
select from public.scheduled_messages m where m.id = $1::uuid for no key update
