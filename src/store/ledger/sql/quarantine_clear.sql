-- Clears messages from the quarantine.
-- $1 messages
insert into punctual.quarantine_cleared (message_id) select distinct unnest($1::uuid[])
on conflict (message_id) do nothing
