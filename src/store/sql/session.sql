-- Every session of the daemon's. The settings of the planner: each statement goes by key, and
-- must be planned so even if its table was empty when it was first planned.
set punctual.writer = 'on';
set synchronous_commit = on;
set lock_timeout = '500ms';
set statement_timeout = '15s';
set idle_in_transaction_session_timeout = '30s';
set plan_cache_mode = force_generic_plan;
set enable_seqscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set enable_bitmapscan = off;
set jit = off;
