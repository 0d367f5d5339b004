-- Whether the ledger has any of these attempts: then their journal is about this data, whatever the
-- database was called when it was written.
-- $1 tokens
select exists (select from punctual.attempts a where a.token = any ($1::uuid[]))
