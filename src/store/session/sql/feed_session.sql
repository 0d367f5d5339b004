-- For the session of a change feed. The server makes a slot when the transactions have ended that are open, and would
-- not notice until then that the daemon is gone, which has been killed. So it looks every second; it begins to with the
-- next statement, and goes on while it works.
set client_connection_check_interval = '1s';
select 1
