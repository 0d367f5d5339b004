-- As the app inserts a message, with or without a user.
-- $1 user  $2 to  $3 body  $4 scheduled at
insert into public.scheduled_messages (user_id, to_number, body, scheduled_at)
values ($1, $2, $3, $4)
returning id
