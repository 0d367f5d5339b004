-- running ─▶ others
-- (each check) ─▶ recent, foreign_sent, writing, installation
-- Who sends, and how: one row per check, as in doctor_server.sql. Recent rows are those at the end of their table, at
-- most 2 MB of it.
-- $1 this program's version; $2 its time zone, or null if its settings are not valid; $3 the sender for rows that name
-- none
with running as (
  select i.version, coalesce(i.program, 1) < oldest_program!() as is_too_old, coalesce(i.state -> 'rules' -> 'lawful', 'null') as lawful, case when i.state -> 'rules' is not null then jsonb_build_array(i.state -> 'rules' -> 'guards', i.state -> 'rules' -> 'costs', i.state -> 'rules' -> 'burst') end as guards
    from punctual.instances i
   where i.stopped_at is null and i.heartbeat_at > clock_timestamp() - interval '20 s'
), others as (
  select string_agg(distinct version, ', ') as versions, count(*) as n from running where version <> $1
), recent as (
  select count(*) as n, count(*) filter (where late > interval '1 s') as late, max(late) as worst
    from (select a.started_at - greatest(wanted_at!(m), case when paused_until!(m) <= a.started_at then paused_until!(m) end) as late
            from punctual.attempts a
            join public.scheduled_messages m on m.id = a.message_id
           cross join (select $3::text as sender, account_senders!() as senders) ours
           where a.ctid >= format('(%s,0)', greatest(pg_relation_size('punctual.attempts') / current_setting('block_size')::int - 256, 0))::tid
             and a.started_at > clock_timestamp() - interval '1 day' and a.number = 1
             and m.status in ('sent', 'delivered')
             -- What has waited for its pace is late from its slot on only.
             and not exists (select from punctual.paces p where (p.scope, p.what) in (('campaign', m.campaign_id::text),
                                                        ('sender', case when is_text!(m) then sender!(m) end)))) timed
), foreign_sent as (
  -- A row that the app inserts as sent has the version 0; each update adds one.
  select count(*) as n, min(m.id::text) as id
    from public.scheduled_messages m
   where m.ctid >= format('(%s,0)', greatest(pg_relation_size('public.scheduled_messages') / current_setting('block_size')::int - 256, 0))::tid
     and m.status = 'sent' and m.version > 0
     and greatest(m.updated_at, m.sent_at) > clock_timestamp() - interval '1 day'
     and not exists (select from punctual.attempts a where a.message_id = m.id)
), writing as (
  select count(*) as n, min(coalesce(nullif(a.application_name, ''), a.usename)) as name
    from pg_catalog.pg_stat_activity a
   where a.datname = current_database() and a.pid <> pg_backend_pid() and a.application_name <> 'punctual'
     and a.query ~* 'update\s+(only\s+)?("?[a-z_]+"?\.)?"?scheduled_messages"?\s.*status.*(sent|sending|processing)'
), installation as (
  select (select s.timezone from punctual.settings s limit 1) as timezone,
         -- Of a default that is a literal.
         (select substring(pg_get_expr(d.adbin, d.adrelid) from '^''(.*)''::')
            from pg_catalog.pg_attrdef d
            join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
           where d.adrelid = to_regclass('public.user_sms_preferences') and a.attname = 'timezone') as of_new_users
)
select 'daemon' as what, 'warn' as level, case when n = 0 then 'no daemon is running' end as found, n || ' running' as fine,
       'start `punctual run` with this database' as remedy
  from (select count(*) as n from running) beating
union all
select 'version', 'warn', case when n > 0 then format('%s running, this program is %s', versions, $1) end, 'the daemon''s is this one''s',
       'restart the daemon with this version, or use the command of the daemon''s'
  from others
union all
select 'old daemon', 'bad',
       case when n > 0 then format('%s running of a version that is too old for the schema: the database refuses its claims', n) end,
       'no daemon is too old for the schema',
       'stop it and start this version: what it has sent it still records'
  from (select count(*) as n from running where is_too_old) old
union all
select 'lawful hours', 'bad',
       case when n > 1 then 'the daemons that run keep different rules: one may send what another defers' end,
       'the same rules in each daemon that runs',
       'give each one the same PUNCTUAL_LAWFUL_HOURS and PUNCTUAL_TRANSACTIONAL_TYPES'
  from (select count(distinct lawful) as n from running where not is_too_old) kept
union all
select 'guard settings', 'bad', case when n > 1 then 'the daemons that run guard differently: one may send what another refuses or holds' end, 'the same guards in each daemon that runs', 'give each one the same settings of [guards]'
  from (select count(distinct guards) as n from running where not is_too_old) kept
union all
select 'time zone', 'warn',
       case when $2 <> timezone and exists (select from running) then format('the daemon''s is %s, these settings say %s', timezone, $2) end,
       'the daemon''s is that of these settings',
       'restart the daemon, or set PUNCTUAL_TIMEZONE here as there'
  from installation
union all
select 'zone of new users', 'warn',
       case when lower(of_new_users) <> lower(coalesce($2, timezone))
            then format('user_sms_preferences.timezone is %s by default, and the installation''s is %s', of_new_users,
                        coalesce($2, timezone)) end,
       'that of the installation',
       'quiet hours and days of users who chose no time zone are those of another place: '
         || 'alter table public.user_sms_preferences alter timezone drop default; and where nobody has chosen it: '
         || format('update public.user_sms_preferences set timezone = null where timezone = %L', of_new_users)
  from installation
union all
select 'lateness', 'warn',
       case when late > 0 then format('%s of %s recent messages began over a second late, the latest by %s s', late, n,
                                      round(extract(epoch from worst)::numeric, 1)) end,
       case when n = 0 then 'no message was sent in the last day' else n || ' recent messages, none over a second late' end,
       '`punctual why ID` shows where the time went; a restart, a full pool, max_in_flight or a slow database are the usual causes'
  from recent
union all
select 'second sender', 'warn',
       case when f.n > 0 then format('%s recent messages were set to sent without an attempt of Punctual''s, one of them %s', f.n, f.id)
            when w.n > 0 then format('a session of %s changes the status of messages', w.name) end,
       'none seen (another program that reads rows and sends before it writes cannot be seen)',
       'every recipient may be texted twice: stop the other sender'
  from foreign_sent f
 cross join writing w
