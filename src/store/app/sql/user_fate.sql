-- The status of a message, and the reason for it.
-- $1 id
select status::text, coalesce(cancel_reason, error_message)::text as reason
  from public.scheduled_messages where id = $1
