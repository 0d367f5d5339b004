-- Changes the time of a pending message, as a user does.
-- $1 id  $2 scheduled at
update public.scheduled_messages set scheduled_at = $2 where id = $1 and is_pending!()
