-- $1 id
delete from public.scheduled_messages where id = $1
