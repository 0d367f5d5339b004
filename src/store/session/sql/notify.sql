-- Notifies all instances.
-- $1 payload
select pg_notify('punctual', $1::text)
