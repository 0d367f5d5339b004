-- Deletes a message, as a user does.
-- $1 id
delete from public.scheduled_messages where id = $1
