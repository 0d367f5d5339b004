-- setting ─▶ timeout, strict
-- slot ─▶ wal
-- (server log) ─▶ logged
-- What is set for roles and databases, or left over on the server: one row per check, as in doctor_server.sql.
with setting as (
  select s.setrole, coalesce('role ' || r.rolname, 'database ' || d.datname, 'all') as who,
         case when r.oid is null then format('alter database %I', current_database()) else format('alter role %I', r.rolname) end
           || case when r.oid is not null and d.oid is not null then format(' in database %I', d.datname) else '' end as place,
         split_part(c.pair, '=', 1) as name, substr(c.pair, strpos(c.pair, '=') + 1) as value
    from pg_catalog.pg_db_role_setting s
   cross join unnest(s.setconfig) as c (pair)
    left join pg_catalog.pg_roles r on r.oid = s.setrole
    left join pg_catalog.pg_database d on d.oid = s.setdatabase
   where s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
), timeout as (
  -- Of the roles that Punctual uses, and of the database: those of the app's roles are the app's.
  select s.* from setting s
   where s.name in ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout',
                    'transaction_timeout')
     and s.value !~ '^0(ms|s|min|h|d)?$'
     and (s.setrole = 0 or s.setrole in (select oid from daemon_roles!() d))
), strict as (
  select s.* from setting s
   where s.name = 'default_transaction_isolation' and s.value in ('serializable', 'repeatable read')
), slot as (
  select s.slot_name, pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
                                      s.restart_lsn) as bytes
    from pg_catalog.pg_replication_slots s
   where not s.active and s.restart_lsn is not null
), wal as (
  -- One segment is always kept.
  select slot_name, pg_size_pretty(bytes) as size from slot
   where bytes > 4 * pg_size_bytes(current_setting('wal_segment_size'))
), logged as (
  select concat_ws(', ', case when current_setting('log_statement') in ('mod', 'all') then 'log_statement is ' || current_setting('log_statement') end,
                   case when s.setting = '0' then 'log_min_duration_statement is 0' end) as settings
    -- In its unit; current_setting has it as text with one, as `300ms`.
    from pg_catalog.pg_settings s where s.name = 'log_min_duration_statement'
)
select 'time-outs' as what, 'warn' as level,
       (select string_agg(format('%s has %s = %s', who, name, value), '; ' order by who, name) from timeout) as found,
       'none that a session of Punctual inherits' as fine,
       'Punctual''s sessions set their own, but psql, and a daemon of an earlier version, end by these: '
         || (select string_agg(format('%s reset %s', place, name), '; ' order by who, name) from timeout) as remedy
union all
select 'isolation', 'warn',
       coalesce((select string_agg(format('%s has %s', who, value), '; ' order by who) from strict),
                case when current_setting('default_transaction_isolation') in ('serializable', 'repeatable read')
                     then 'the server has ' || current_setting('default_transaction_isolation') end),
       'read committed',
       'a cancel or an edit that meets a claim fails with 40001, and the app has to repeat it: '
         || coalesce((select string_agg(format('%s reset default_transaction_isolation', place), '; ' order by who) from strict),
                     'alter system reset default_transaction_isolation; select pg_reload_conf()')
union all
select 'replication slots', 'warn',
       (select string_agg(format('%s is not in use and keeps %s of the log', slot_name, size), '; ' order by slot_name) from wal),
       'none that fills the disk',
       'a full disk stops everything: bring its reader back, or: '
         || (select string_agg(format('select pg_drop_replication_slot(%L)', slot_name), '; ' order by slot_name) from wal)
union all
select 'transaction ids', 'bad', case when xids > 1500000000 then xids || ' since the last freeze' end, xids || ' since the last freeze',
       'at 2 billion the server accepts no writes: end old transactions, then run vacuum freeze'
  from (select age(d.datfrozenxid) as xids from pg_catalog.pg_database d where d.datname = current_database()) age
union all
select 'two-phase commits', 'warn',
       case when prepared > 0 then 'max_prepared_transactions is ' || prepared || ': a transaction that is prepared may not notify' end,
       'none can be prepared',
       'where the app prepares a transaction that writes scheduled_messages, its first statement must be: '
       'set local punctual.notify = ''off''; its rows are found within 1 s of the commit'
  from (select current_setting('max_prepared_transactions')::int as prepared) s
union all
select 'realtime', 'warn',
       case when exists (select from pg_catalog.pg_publication p where p.pubname = 'supabase_realtime')
                 and to_regclass('public.scheduled_messages') is not null
                 and not exists (select from pg_catalog.pg_publication_tables t
                                  where t.pubname = 'supabase_realtime' and t.schemaname = 'public'
                                    and t.tablename = 'scheduled_messages')
            then 'the publication supabase_realtime is without scheduled_messages' end,
       'no publication of Supabase is without the table',
       'if the app subscribes to it, it hears nothing: alter publication supabase_realtime add table public.scheduled_messages'
union all
select 'server log', 'warn', nullif(settings, ''), 'statements are not logged',
       'numbers and texts that the app writes are in the server''s log: alter system reset log_statement; '
       'alter system reset log_min_duration_statement; select pg_reload_conf()'
  from logged
