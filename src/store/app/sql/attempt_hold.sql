-- Locks the attempt with a sid until the end of the transaction.
-- $1 sid
select from punctual.attempts a where a.provider_sid = $1::text for share
