-- As the app inserts a message.
-- $1 to  $2 body  $3 scheduled at
insert into public.scheduled_messages (to_number, body, scheduled_at)
values ($1, $2, $3)
returning id
