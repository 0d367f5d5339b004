-- Whether the ledger has any of these attempts: then their journal belongs to this data, whatever the database
-- was named when it was written.
-- $1 tokens
select exists (select from punctual.attempts a where a.token = any ($1::uuid[]))
