-- What has been done to the table, or to how it is reached, that breaks Punctual: one row a
-- check. level: ok, warn, bad. Reads the catalog only.
with tab as (
  select to_regclass('public.scheduled_messages')::oid as oid
), narrow as (
  -- Listed words without ours. What ties the status to other columns, `shape` judges.
  select c.conname
    from tab
    join pg_catalog.pg_constraint c on c.conrelid = tab.oid
    join pg_catalog.pg_attribute a
      on a.attrelid = tab.oid and a.attname = 'status' and c.conkey = array[a.attnum]
   where c.contype = 'c' and c.conname not like '%\_punctual'
     and pg_get_expr(c.conbin, c.conrelid) like '%''pending''%'
     and not (pg_get_expr(c.conbin, c.conrelid) like '%''sending''%'
              and pg_get_expr(c.conbin, c.conrelid) like '%''delivered''%'
              and pg_get_expr(c.conbin, c.conrelid) like '%''unconfirmed''%')
), theirs as (
  -- The app's own triggers that run before a row is written.
  select t.tgname, p.prosrc, t.tgtype
    from tab
    join pg_catalog.pg_trigger t on t.tgrelid = tab.oid and not t.tgisinternal and t.tgenabled <> 'D'
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname <> 'punctual' and t.tgtype & 3 = 3
), meddling as (
  select tgname from theirs
   where prosrc ~* 'new\.(status|scheduled_at|attempts|next_attempt_at|deferred_until|version)\s*:?=[^=]'
      or tgname > 'zzz_punctual'
), calling as (
  -- Supabase's "database webhooks", and whatever else makes requests.
  select t.tgname
    from tab
    join pg_catalog.pg_trigger t on t.tgrelid = tab.oid and not t.tgisinternal and t.tgenabled <> 'D'
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname <> 'punctual'
     and (p.proname = 'http_request' or p.prosrc ~* '(net\.http_(post|get)|http_post|http_request)\s*\(')
), silenced as (
  select coalesce(r.rolname, d.datname, 'all') as where_set
    from pg_catalog.pg_db_role_setting s
    left join pg_catalog.pg_roles r on r.oid = s.setrole
    left join pg_catalog.pg_database d on d.oid = s.setdatabase
   where s.setconfig && array['session_replication_role=replica', 'session_replication_role=local']
     and s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = current_database()))
), open_to as (
  -- The key of Supabase's role anon is in every copy of the app.
  select r.rolname, string_agg(p, ', ') as privileges
    from tab
    join pg_catalog.pg_class c on c.oid = tab.oid and not c.relrowsecurity
    cross join pg_catalog.pg_roles r
    cross join unnest(array['INSERT', 'UPDATE', 'SELECT']) as p
   where r.rolname = 'anon' and has_table_privilege(r.oid, c.oid, p)
   group by r.rolname
), exposed as (
  select r.rolname
    from pg_catalog.pg_roles r
   where r.rolname in ('anon', 'authenticated') and has_schema_privilege(r.oid, to_regnamespace('punctual'), 'USAGE')
), tight as (
  select 'database ' || d.datname as what, d.datconnlimit as most
    from pg_catalog.pg_database d
   where d.datname = current_database() and d.datconnlimit between 0 and 4
  union all
  select 'role ' || r.rolname, r.rolconnlimit
    from pg_catalog.pg_roles r
   where r.rolname = current_user and r.rolconnlimit between 0 and 4
)
select 'status check' as what,
       case when exists (select from narrow) then 'bad' else 'ok' end as level,
       coalesce((select string_agg(format('constraint %I does not allow sending, delivered, unconfirmed', conname), '; ') from narrow),
                'allows our states') as found,
       'every claim fails: ' || coalesce((select string_agg(format('alter table scheduled_messages drop constraint %I', conname), '; ') from narrow), '') as remedy
union all
select 'app triggers',
       case when exists (select from meddling) then 'warn' else 'ok' end,
       coalesce((select string_agg(tgname, ', ') || ' writes states or times, or runs after the guard' from meddling), 'none in the way'),
       'let it leave status and times alone, and name it so that it sorts before zzz_punctual'
union all
select 'web hooks',
       case when exists (select from calling) then 'warn' else 'ok' end,
       coalesce((select string_agg(tgname, ', ') || ' makes requests when rows change' from calling), 'none on the table'),
       'if that sends messages, everybody is texted twice: drop the trigger'
union all
select 'trigger firing',
       case when current_setting('session_replication_role') <> 'origin' or exists (select from silenced) then 'bad' else 'ok' end,
       case when current_setting('session_replication_role') <> 'origin' or exists (select from silenced)
            then 'session_replication_role is not origin' || coalesce(' for ' || (select string_agg(where_set, ', ') from silenced), '')
            else 'as usual' end,
       'no trigger fires there, so nothing is guarded or told: alter database or role … reset session_replication_role'
union all
select 'who may write',
       case when exists (select from open_to) then 'bad' else 'ok' end,
       coalesce((select string_agg(rolname || ' may ' || privileges || ' without row level security', '; ') from open_to), 'nobody without a login'),
       'whoever has the app''s public key can send texts at your cost: alter table scheduled_messages enable row level security, with policies for your users'
union all
select 'private schema',
       case when exists (select from exposed) then 'warn' else 'ok' end,
       coalesce((select string_agg(rolname, ', ') || ' may use schema punctual' from exposed), 'not open to the app''s roles'),
       'revoke usage on schema punctual from anon, authenticated'
union all
select 'read only',
       case when current_setting('transaction_read_only') = 'on' then 'bad' else 'ok' end,
       case when pg_is_in_recovery() then 'this server is a standby'
            when current_setting('transaction_read_only') = 'on' then 'sessions are read-only'
            else 'no' end,
       'connect to the primary; Supabase makes a database read-only when its disk is full: make room, then alter database … reset default_transaction_read_only'
union all
select 'connection limit',
       case when exists (select from tight) then 'bad' else 'ok' end,
       coalesce((select string_agg(what || ' may have ' || most || ' connections', '; ') from tight), 'room for a daemon'),
       'a daemon uses five: raise it with alter database or alter role … connection limit'
union all
select 'encoding',
       case when current_setting('server_encoding') = 'UTF8' then 'ok' else 'warn' end,
       current_setting('server_encoding'),
       'texts with emoji or accents cannot be kept in it: move to a database with encoding UTF8'
union all
select 'synchronous_commit',
       case when current_setting('synchronous_commit') = 'off' then 'warn' else 'ok' end,
       current_setting('synchronous_commit'),
       'a crash of the server forgets messages that your app was told are scheduled: set it to on'
union all
select 'idle transactions',
       case when exists (select from pg_catalog.pg_stat_activity a
                          where a.datname = current_database() and a.state like 'idle in transaction%'
                            and a.xact_start < clock_timestamp() - interval '5 s')
            then 'warn' else 'ok' end,
       (select count(*) from pg_catalog.pg_stat_activity a
         where a.datname = current_database() and a.state like 'idle in transaction%'
           and a.xact_start < clock_timestamp() - interval '5 s') || ' open for over 5 s'
         || coalesce((select ', the oldest is process ' || a.pid from pg_catalog.pg_stat_activity a
                       where a.datname = current_database() and a.state like 'idle in transaction%'
                         and a.xact_start < clock_timestamp() - interval '5 s'
                       order by a.xact_start limit 1), ''),
       'the rows it has changed cannot be sent, and its notices are not told: let it commit, or pg_terminate_backend'
