-- $1 payload
select pg_notify('punctual', $1::text)
