-- What inherited.sql and session.sql set, in each transaction. Not the keep-alives, which are those of the pooler's
-- connections, and not the isolation, which is the role's (session_defaults.sql).
select set_config('punctual.writer', 'on', true),
       set_config('punctual.program', 'program!()', true),
       set_config('synchronous_commit', 'on', true),
       set_config('statement_timeout', '15s', true),
       set_config('lock_timeout', '500ms', true),
       set_config('idle_in_transaction_session_timeout', '30s', true),
       -- Not every version of Postgres has it.
       case when current_setting('transaction_timeout', true) <> '0' then set_config('transaction_timeout', '0', true) end,
       set_config('datestyle', 'ISO', true),
       case when 'public' <> all (current_schemas(false))
         then set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), quote_ident('public')), true)
       end,
       set_config('plan_cache_mode', 'force_generic_plan', true),
       set_config('enable_seqscan', 'off', true),
       set_config('enable_hashjoin', 'off', true),
       set_config('enable_mergejoin', 'off', true),
       set_config('enable_bitmapscan', 'off', true),
       set_config('enable_material', 'off', true),
       set_config('jit', 'off', true)
