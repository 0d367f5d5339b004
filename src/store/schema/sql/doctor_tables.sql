-- tab ─▶ narrow, starting
-- (each check) ─▶ lost_trigger, storage
-- Checks of the tables, and of changes to them that break Punctual: one row per check, as in
-- doctor_server.sql. Reads the catalog only.
-- $1, $2, $3 the triggers that should exist: names, tables, and whether a trigger is optional if
-- its table does not exist
with tab as (
  select to_regclass('public.scheduled_messages')::oid as oid
), lost_trigger as (
  select e.name, t.tgenabled, e.tab
    from unnest($1::text[], $2::text[], $3::bool[]) as e (name, tab, optional)
    left join pg_catalog.pg_namespace n on n.nspname = (parse_ident(e.tab))[1]
    left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = (parse_ident(e.tab))[2]
    left join pg_catalog.pg_trigger t on t.tgrelid = c.oid and t.tgname = e.name and not t.tgisinternal
   -- One of them is for sessions that replicate, in which the others do not fire.
   where (t.oid is null
          or t.tgenabled not in ('A', case when e.name like '%\_replicated' then 'R' else 'O' end::"char"))
     and not (e.optional and (c.oid is null or c.relkind not in ('r', 'p') or is_without_column!(c)))
), narrow as (
  -- A list of statuses without Punctual's. CHECKs over several columns are judged by `shape`.
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
), storage as (
  select format('%I.%I', n.nspname, c.relname) as name, c.relpersistence = 'u' as is_unlogged,
         lower(c.reloptions::text) ~ '[{,]autovacuum_enabled=(false|off|no|0)' as is_unvacuumed
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p')
     and (n.nspname = 'punctual'
          or c.oid in (select to_regclass('public.' || t)
                         from unnest(array['scheduled_messages', 'user_sms_preferences', 'sms_templates', 'task_calendar_events',
                                           'messages', 'conversations', 'contacts']) as t))
), starting as (
  select pg_get_expr(d.adbin, d.adrelid) as expression
    from tab
    join pg_catalog.pg_attribute a on a.attrelid = tab.oid and a.attname = 'status' and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where coalesce(pg_get_expr(d.adbin, d.adrelid), '') not like '''pending''%'
), doubtful as (
  select pg_get_expr(d.adbin, d.adrelid) as expression
    from tab
    join pg_catalog.pg_attribute a on a.attrelid = tab.oid and a.attname = 'in_doubt'
    join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
)
select 'triggers' as what, 'bad' as level,
       (select string_agg(name || case when tgenabled is null then ' is missing' else ' is disabled' end, ', ') from lost_trigger) as found,
       'all in place' as fine,
       concat_ws('; ', (select 'run `punctual migrate` as the tables'' owner' from lost_trigger where tgenabled is null limit 1),
                       (select string_agg(format('alter table %s enable%s trigger %I', tab,
                                          case when name like '%\_replicated' then ' replica' else '' end, name), '; ')
                          from lost_trigger where tgenabled is not null)) as remedy
union all
select 'status check', 'bad',
       (select string_agg(format('constraint %I does not allow sending, delivered, unconfirmed', conname), '; ') from narrow),
       'allows Punctual''s states',
       'every claim fails: ' || (select string_agg(format('alter table public.scheduled_messages drop constraint %I', conname), '; ') from narrow)
union all
select 'status default', 'warn',
       (select 'a new row has ' || coalesce('the status ' || expression, 'no status') || ' unless it says otherwise' from starting),
       'pending',
       'rows of an app that leaves the status out are never sent: alter table public.scheduled_messages alter status set default ''pending'''
union all
select 'in_doubt default', 'warn',
       (select 'a new row has in_doubt = ''resend'' unless it says otherwise' from doubtful where expression like '''resend''%'),
       'that of the installation',
       'whenever a response is lost, the text is sent again, even if it had arrived: alter table public.scheduled_messages alter in_doubt drop default'
union all
select 'unlogged', 'bad', (select string_agg(name, ', ' order by name) || ' is UNLOGGED' from storage where is_unlogged),
       'every table survives a crash of the server',
       'a crash of the server empties it, and with it goes what was sent: '
         || (select string_agg(format('alter table %s set logged', name), '; ' order by name) from storage where is_unlogged)
union all
select 'autovacuum', 'warn',
       nullif(concat_ws('; ', case when current_setting('autovacuum') = 'off' or current_setting('track_counts') = 'off'
                                   then 'off on this server' end,
                        (select 'off for ' || string_agg(name, ', ' order by name) from storage where is_unvacuumed)), ''),
       'on',
       'tables and indexes grow with every message, and claims become slower: '
         || concat_ws('; ', case when current_setting('autovacuum') = 'off' or current_setting('track_counts') = 'off'
                                 then 'alter system reset autovacuum; alter system reset track_counts; select pg_reload_conf()' end,
                      (select string_agg(format('alter table %s reset (autovacuum_enabled)', name), '; ' order by name)
                         from storage where is_unvacuumed))
