-- (each check) ─▶ silenced, exposed, tight, idle, hidden
-- Checks of the server and its settings: one row per check. `found` is the problem, or null; then
-- `fine` is shown. level: bad or warn, for a problem.
with silenced as (
  select coalesce(r.rolname, d.datname, 'all') as where_set
    from pg_catalog.pg_db_role_setting s
    left join pg_catalog.pg_roles r on r.oid = s.setrole
    left join pg_catalog.pg_database d on d.oid = s.setdatabase
   where s.setconfig && array['session_replication_role=replica', 'session_replication_role=local']
     and s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
), exposed as (
  select r.rolname
    from pg_catalog.pg_roles r
   where r.rolname in ('anon', 'authenticated') and has_schema_privilege(r.oid, to_regnamespace('punctual'), 'USAGE')
), tight as (
  select 'database ' || d.datname as what, d.datconnlimit as most
    from pg_catalog.pg_database d
   where d.datname = current_database() and d.datconnlimit between 0 and 5
  union all
  select 'role ' || r.rolname, r.rolconnlimit
    from pg_catalog.pg_roles r
   where r.rolname = current_user and r.rolconnlimit between 0 and 5
), idle as (
  select a.pid, a.xact_start
    from pg_catalog.pg_stat_activity a
   where a.datname = current_database() and a.state like 'idle in transaction%'
     and a.xact_start < clock_timestamp() - interval '5 s'
), hidden as (
  -- The text that a role without pg_read_all_stats sees for other sessions.
  select 1 from pg_catalog.pg_stat_activity a
   where a.datname = current_database() and a.query = '<insufficient privilege>'
)
select 'server' as what, 'bad' as level,
       case when current_setting('server_version_num')::int < 140000
            then 'PostgreSQL ' || current_setting('server_version') end as found,
       'PostgreSQL ' || current_setting('server_version') as fine,
       'Punctual needs PostgreSQL 14 or later' as remedy
union all
select 'fsync', 'bad', case when settings <> 'fsync on, full_page_writes on' then settings end, settings,
       'a server crash can lose the claim of a message, which is then sent twice: set both to on'
  from (select 'fsync ' || current_setting('fsync') || ', full_page_writes ' || current_setting('full_page_writes') as settings) disk
union all
select 'synchronous_commit', 'warn', case when current_setting('synchronous_commit') = 'off' then 'off' end,
       current_setting('synchronous_commit'),
       'a server crash can lose messages that your app has scheduled: set it to on'
union all
select 'notify queue', 'bad', case when percent >= 50 then percent || ' % full' end, percent || ' % full',
       'a session that LISTENs is idle in a transaction: find it in pg_stat_activity and end it'
  from (select round((pg_notification_queue_usage() * 100)::numeric, 1) as percent) queue
union all
select 'connections', 'warn', case when most - n < 6 then n || ' of ' || most || ' in use' end, n || ' of ' || most || ' in use',
       'a daemon uses six: free some, or raise max_connections'
  -- Per database, which every role may read.
  from (select sum(numbackends) as n, current_setting('max_connections')::int as most
          from pg_catalog.pg_stat_database) sessions
union all
select 'connection limit', 'bad',
       (select string_agg(what || ' may have ' || most || ' connections', '; ') from tight), 'room for a daemon',
       'a daemon uses six: raise it with alter database or alter role … connection limit'
union all
select 'read only', 'bad',
       case when pg_is_in_recovery() then 'this server is a standby'
            when current_setting('transaction_read_only') = 'on' then 'sessions are read-only' end,
       'writable',
       'connect to the primary; Supabase makes a database read-only when its disk is full: make room, then alter database … reset default_transaction_read_only'
union all
select 'trigger firing', 'bad',
       case when current_setting('session_replication_role') <> 'origin' or exists (select from silenced)
            then 'session_replication_role is not origin' || coalesce(' for ' || (select string_agg(where_set, ', ') from silenced), '') end,
       'triggers fire normally',
       'no trigger fires there, so changes are neither guarded nor notified: alter database or role … reset session_replication_role'
union all
select 'private schema', 'warn',
       (select string_agg(rolname, ', ') || ' may use schema punctual' from exposed), 'closed to the app''s roles',
       'revoke usage on schema punctual from anon, authenticated'
union all
select 'encoding', 'warn', nullif(current_setting('server_encoding'), 'UTF8'), 'UTF8',
       'it cannot store texts with emoji or accents: use a database with encoding UTF8'
union all
select 'idle transactions', 'warn',
       (select count(*) || ' open for over 5 s, the oldest is process ' || (array_agg(pid order by xact_start))[1]
          from idle having count(*) > 0),
       case when exists (select from hidden) then 'none that this role can see' else 'none open for over 5 s' end,
       'rows that it changed cannot be sent, and its notifications wait: let it commit, or use pg_terminate_backend'
