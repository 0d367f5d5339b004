-- $1 id
select status, coalesce(cancel_reason, error_message) as reason
  from public.scheduled_messages where id = $1
