-- What inherited.sql sets, in each transaction: the next one may be in another session. The time limit of idle sessions
-- is left to the pooler, whose sessions they are.
select set_config('statement_timeout', '5min', true),
       set_config('lock_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       -- Not every version of Postgres has it.
       case when current_setting('transaction_timeout', true) <> '0' then set_config('transaction_timeout', '0', true) end,
       set_config('datestyle', 'ISO', true),
       case when 'public' <> all (current_schemas(false))
         then set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), quote_ident('public')), true)
       end
