-- What inherited.sql and doctor_session.sql set, in each transaction.
select set_config('statement_timeout', '10s', true),
       set_config('lock_timeout', '1s', true),
       set_config('jit', 'off', true),
       set_config('datestyle', 'ISO', true),
       case when 'public' <> all (current_schemas(false))
         then set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), quote_ident('public')), true)
       end
