-- Brings the app's rows up to what attempts have reached, and what these refuse into the outbox; why they did.
-- $1 scheduled messages  $2 their sids
select punctual.tell_statuses($1::uuid[], $2::text[])
