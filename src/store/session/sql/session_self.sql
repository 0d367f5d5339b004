-- Which of the server's processes serves this session.
select a.pid, a.backend_start as began from pg_stat_activity a where a.pid = pg_backend_pid()
