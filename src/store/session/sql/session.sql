-- Every session of the daemon's, after inherited.sql. The settings of the planner: each statement goes by key, and
-- must be planned so even if its table was empty when it was first planned. Those of TCP: if we go
-- without a word, the server knows within a minute, and not after two hours, and has the
-- connection for somebody else.
set punctual.writer = 'on';
set synchronous_commit = on;
set lock_timeout = '500ms';
set statement_timeout = '15s';
set idle_in_transaction_session_timeout = '30s';
set tcp_keepalives_idle = '30s';
set tcp_keepalives_interval = '5s';
set tcp_keepalives_count = 5;
-- What a role may have set for its sessions, and the daemon's cannot live with.
set default_transaction_read_only = off;
set default_transaction_isolation = 'read committed';
set plan_cache_mode = force_generic_plan;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set enable_bitmapscan = off;
set jit = off;
