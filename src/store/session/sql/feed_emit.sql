-- Reports to the change feeds, with the commit.
-- $1 payload
select pg_logical_emit_message(true, 'punctual', $1::text)
