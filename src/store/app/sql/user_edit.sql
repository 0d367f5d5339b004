-- Changes the text of a pending message, as a user does.
-- $1 id  $2 body
update public.scheduled_messages set body = $2 where id = $1 and is_pending!()
