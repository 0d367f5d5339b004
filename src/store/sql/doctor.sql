-- What a newcomer gets wrong, as far as the catalog tells: one row a check.
-- level: ok, warn, bad.
-- $1 the triggers there should be
with lost_trigger as (
  select e.name, t.tgenabled, t.tgrelid::regclass as tab
    from unnest($1::text[]) as e (name)
    left join pg_catalog.pg_trigger t on t.tgname = e.name and not t.tgisinternal
   where t.oid is null or t.tgenabled not in ('O', 'A')
), expected_index (name) as (
  values ('scheduled_messages_due_idx'), ('scheduled_messages_open_idx')
), lost_index as (
  select e.name
    from expected_index e
    left join pg_catalog.pg_class c
      on c.relname = e.name and c.relnamespace = 'public'::regnamespace
    left join pg_catalog.pg_index i on i.indexrelid = c.oid
   where i.indisvalid is not true
), expected_column (tab, name) as (
  values ('conversations', 'id'), ('conversations', 'phone_number'), ('conversations', 'contact_id'),
         ('conversations', 'last_message_at'), ('conversations', 'created_at'),
         ('conversations', 'updated_at'), ('contacts', 'id'), ('contacts', 'phone_number'),
         ('contacts', 'created_at'), ('messages', 'conversation_id'), ('messages', 'direction'),
         ('messages', 'body'), ('messages', 'from_number'), ('messages', 'to_number'),
         ('messages', 'twilio_sid'), ('messages', 'status'), ('messages', 'metadata')
), lost_column as (
  select e.tab || '.' || e.name as name
    from expected_column e
   where not exists (select from pg_catalog.pg_attribute a
                      where a.attrelid = to_regclass('public.' || e.tab)
                        and a.attname = e.name and not a.attisdropped)
)
select 'server' as what,
       case when current_setting('server_version_num')::int >= 140000 then 'ok' else 'bad' end as level,
       'PostgreSQL ' || current_setting('server_version') as found,
       'Punctual needs PostgreSQL 14 or later' as remedy
union all
select 'triggers',
       case when exists (select from lost_trigger) then 'bad' else 'ok' end,
       coalesce((select string_agg(name || case when tgenabled is null then ' is missing' else ' is disabled' end, ', ')
                   from lost_trigger), 'all in place'),
       'run `punctual migrate`; a disabled one is enabled with ALTER TABLE '
         || coalesce((select min(tab::text) from lost_trigger), '…') || ' ENABLE TRIGGER'
union all
select 'indexes',
       case when exists (select from lost_index) then 'bad' else 'ok' end,
       coalesce((select string_agg(name, ', ') || ' missing or invalid' from lost_index), 'all in place'),
       'run `punctual migrate`'
union all
select 'app tables',
       case when exists (select from lost_column) then 'warn' else 'ok' end,
       coalesce((select string_agg(name, ', ') || ' missing' from lost_column), 'as expected'),
       'messages are sent all the same; their rows in `messages` wait in punctual.outbox'
union all
select 'fsync',
       case when current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on' then 'ok' else 'bad' end,
       'fsync ' || current_setting('fsync') || ', full_page_writes ' || current_setting('full_page_writes'),
       'a crash of the server can forget that a message was claimed, and it is sent twice: set both to on'
union all
select 'notify queue',
       case when pg_notification_queue_usage() < 0.5 then 'ok' else 'bad' end,
       round((pg_notification_queue_usage() * 100)::numeric, 1) || ' % full',
       'a session that listens is idle in a transaction: find it in pg_stat_activity and end it'
union all
select 'connections',
       case when current_setting('max_connections')::int - (select count(*) from pg_catalog.pg_stat_activity
                                                             where backend_type = 'client backend') >= 5
            then 'ok' else 'warn' end,
       (select count(*) from pg_catalog.pg_stat_activity where backend_type = 'client backend')
         || ' of ' || current_setting('max_connections') || ' in use',
       'a daemon uses five: free some, or raise max_connections'
