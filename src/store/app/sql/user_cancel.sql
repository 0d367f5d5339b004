-- Cancels a message, as a user does.
-- $1 id
update public.scheduled_messages set status = 'cancelled' where id = $1
