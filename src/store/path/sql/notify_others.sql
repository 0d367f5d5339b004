-- Notifies the other instances, because the daemon's own writes do not. Not if the queue is nearly full: the
-- commit would fail, and the sweeps find the rows anyway.
-- $1 payload
select pg_notify('punctual', $1::text) where may_notify!()
