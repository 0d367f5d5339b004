-- The same for the attempt, after the row.
-- $1 token
select from punctual.attempts a where a.token = $1::uuid for no key update
