-- Updates the app's rows to the statuses that attempts have reached; what they refuse is put in the outbox.
-- Returns why.
-- $1 scheduled messages  $2 their sids
select punctual.tell_statuses($1::uuid[], $2::text[])
