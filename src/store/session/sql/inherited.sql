-- Every session of ours: what the role, the database or the server sets for those who forget their
-- sessions would end ours in the middle of its work, or while it waits for a notification.
set statement_timeout = '5min';
set lock_timeout = 0;
select set_config(s.name, '0', false)
  from pg_catalog.pg_settings s
 -- Not every version has each.
 where s.name in ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
   and s.setting <> '0'
