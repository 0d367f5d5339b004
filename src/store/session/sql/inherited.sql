-- For every session of Punctual's. Limits that a role, database or server sets against forgotten sessions would end
-- it in the middle of its work, or while it waits for a notification.
set statement_timeout = '5min';
set lock_timeout = 0;
-- Dates are read as they are written by default.
set datestyle = 'ISO';
select set_config(s.name, '0', false)
  from pg_catalog.pg_settings s
 -- Not every version of Postgres has each.
 where s.name in ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
   and s.setting <> '0';
-- The app's triggers run in these sessions: the schema of its tables is in the path, whatever a role has set.
select set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), quote_ident('public')), false)
 where 'public' <> all (current_schemas(false));
