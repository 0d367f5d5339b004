-- For every session of the daemon's, after inherited.sql. The planner's settings: each statement uses indexes,
-- and must be planned so even if its table was empty when it was first planned. TCP's settings: if the daemon's
-- host disappears without notice, the server detects that within a minute instead of two hours, and can use the
-- connection for another client.
set punctual.writer = 'on';
set punctual.program = 'program!()';
set synchronous_commit = on;
set lock_timeout = '500ms';
set statement_timeout = '15s';
set idle_in_transaction_session_timeout = '30s';
set tcp_keepalives_idle = '30s';
set tcp_keepalives_interval = '5s';
set tcp_keepalives_count = 5;
-- What a role may have set for its sessions, and the daemon's do not tolerate.
set default_transaction_read_only = off;
set default_transaction_isolation = 'read committed';
set plan_cache_mode = force_generic_plan;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set enable_bitmapscan = off;
set enable_material = off;
set jit = off;
