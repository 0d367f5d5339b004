-- Notifies every instance of a row that the daemon itself has moved back to `pending`: its own writes do not
-- notify. Not if the queue is nearly full: the commit would fail.
-- $1 message
select case when may_notify!() then pg_notify('punctual', 'ids ' || $1::uuid)::text end
