-- Checks of the tables, and of changes to them that break Punctual: one row per check, as in
-- doctor_server.sql. Reads the catalog only.
-- $1, $2, $3 the triggers that should exist: names, tables, and whether a trigger is optional if
-- its table does not exist
with tab as (
  select to_regclass('public.scheduled_messages')::oid as oid
), lost_trigger as (
  select e.name, t.tgenabled, e.tab
    from unnest($1::text[], $2::text[], $3::bool[]) as e (name, tab, optional)
    left join pg_catalog.pg_class c on c.oid = to_regclass(e.tab)
    left join pg_catalog.pg_trigger t on t.tgrelid = c.oid and t.tgname = e.name and not t.tgisinternal
   -- One of them is for sessions that replicate, in which the others do not fire.
   where (t.oid is null
          or t.tgenabled not in ('A', case when e.name like '%\_replicated' then 'R' else 'O' end::"char"))
     and not (e.optional and (c.oid is null or c.relkind not in ('r', 'p')))
), expected_column (tab, name, type) as (
  -- The app's columns for a sent message; null: any type.
  values ('conversations', 'id', null), ('conversations', 'phone_number', null), ('conversations', 'contact_id', null),
         ('conversations', 'last_message_at', null), ('conversations', 'created_at', null),
         ('conversations', 'updated_at', null), ('contacts', 'id', null), ('contacts', 'phone_number', null),
         ('contacts', 'created_at', null), ('messages', 'conversation_id', null), ('messages', 'direction', null),
         ('messages', 'body', null), ('messages', 'from_number', null), ('messages', 'to_number', null),
         ('messages', 'twilio_sid', null), ('messages', 'status', null), ('messages', 'metadata', null),
  -- Columns that the rules read, with the type that needs no cast.
         ('user_sms_preferences', 'user_id', 'uuid'), ('user_sms_preferences', 'phone_number', 'text'),
         ('user_sms_preferences', 'phone_verified', 'boolean'),
         ('user_sms_preferences', 'phone_verified_at', 'timestamp with time zone'),
         ('user_sms_preferences', 'quiet_hours_start', 'time without time zone'),
         ('user_sms_preferences', 'quiet_hours_end', 'time without time zone'),
         ('user_sms_preferences', 'timezone', 'text'), ('user_sms_preferences', 'daily_sms_limit', 'integer'),
         ('user_sms_preferences', 'daily_sms_count', 'integer'),
         ('user_sms_preferences', 'daily_count_reset_at', 'timestamp with time zone'),
         ('user_sms_preferences', 'opted_out', 'boolean'),
         ('sms_templates', 'id', 'uuid'), ('sms_templates', 'template_key', 'text'), ('sms_templates', 'name', 'text'),
         ('sms_templates', 'message_template', 'text'), ('sms_templates', 'required_vars', 'jsonb'),
         ('sms_templates', 'max_length', 'integer'), ('sms_templates', 'is_active', 'boolean'),
         ('sms_templates', 'usage_count', 'bigint'), ('sms_templates', 'last_used_at', 'timestamp with time zone'),
         ('task_calendar_events', 'calendar_event_id', 'text'), ('task_calendar_events', 'user_id', 'uuid'),
         ('task_calendar_events', 'event_title', 'text'),
         ('task_calendar_events', 'event_start', 'timestamp with time zone'),
         ('task_calendar_events', 'event_link', 'text'), ('task_calendar_events', 'sync_status', 'text')
  union all
  select 'user_sms_preferences', s.col, 'boolean' from (values switches!()) as s (col, kind)
), other_column as (
  -- All integer types are accepted, and all text and enum types.
  select e.tab, e.name, e.type, c.oid is null as no_table,
         pg_catalog.format_type(a.atttypid, null) as is_type
    from expected_column e
    left join pg_catalog.pg_class c on c.oid = to_regclass('public.' || e.tab)
    left join pg_catalog.pg_attribute a
      on a.attrelid = c.oid and a.attname = e.name and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_type y on y.oid = a.atttypid
   where a.attnum is null
      or not (e.type is null or pg_catalog.format_type(a.atttypid, null) = e.type
              or e.type = 'text' and y.typcategory in ('S', 'E')
              or e.type in ('integer', 'bigint') and y.typname in ('int2', 'int4', 'int8')
              or e.type = 'jsonb' and y.typname = 'json')
), lost_column as (
  select tab || '.' || name as name from other_column where type is null
), policy_fault as (
  select distinct format('table %s is missing', tab) as fault, format('make %s as `punctual migrate --print` shows', tab) as cure
    from other_column
   where type is not null and no_table
  union all
  select format('%s.%s is missing', tab, name), format('alter table %s add column %I %s', tab, name, type)
    from other_column
   where type is not null and not no_table and is_type is null
  union all
  select format('%s.%s is %s, not %s', tab, name, is_type, type),
         format('alter table %s alter column %I type %s using %2$I::%3$s', tab, name, type)
    from other_column
   where type is not null and is_type is not null
  union all
  select format('%s is not a table, so its changes are not followed', c.relname), 'keep it as a table'
    from pg_catalog.pg_class c
   where c.oid in (select to_regclass('public.' || tab) from expected_column where type is not null)
     and c.relkind not in ('r', 'p')
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
), theirs as (
  -- The app's own triggers.
  select t.tgname, p.proname, p.prosrc, t.tgtype & 3 = 3 as before_a_row
    from tab
    join pg_catalog.pg_trigger t on t.tgrelid = tab.oid and not t.tgisinternal and t.tgenabled <> 'D'
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname <> 'punctual'
), meddling as (
  select tgname from theirs
   where before_a_row
     and (prosrc ~* 'new\.(status|scheduled_at|attempts|next_attempt_at|deferred_until|version)\s*:?=[^=]'
          or tgname > 'zzz_punctual')
), calling as (
  -- Supabase's "database webhooks", and other triggers that make requests.
  select tgname from theirs
   where proname = 'http_request' or prosrc ~* '(net\.http_(post|get)|http_post|http_request)\s*\('
), open_to as (
  -- The key of Supabase's role anon is in every copy of the app.
  select r.rolname, string_agg(p, ', ') as privileges
    from tab
    join pg_catalog.pg_class c on c.oid = tab.oid and not c.relrowsecurity
    cross join pg_catalog.pg_roles r
    cross join unnest(array['INSERT', 'UPDATE', 'SELECT']) as p
   where r.rolname = 'anon' and has_table_privilege(r.oid, c.oid, p)
   group by r.rolname
)
select 'triggers' as what, 'bad' as level,
       (select string_agg(name || case when tgenabled is null then ' is missing' else ' is disabled' end, ', ') from lost_trigger) as found,
       'all in place' as fine,
       concat_ws('; ', (select 'run `punctual migrate` as the tables'' owner' from lost_trigger where tgenabled is null limit 1),
                       (select string_agg(format('alter table %s enable%s trigger %I', tab,
                                          case when name like '%\_replicated' then ' replica' else '' end, name), '; ')
                          from lost_trigger where tgenabled is not null)) as remedy
union all
select 'app tables', 'warn',
       (select string_agg(name, ', ' order by name) || ' missing' from lost_column), 'as expected',
       'messages are sent, but their rows in `messages` wait in punctual.outbox'
union all
select 'policy tables', 'warn',
       (select string_agg(fault, '; ' order by fault) from policy_fault), 'as expected',
       'rules whose column is missing are skipped; other types are cast, or ignored: '
         || (select string_agg(distinct cure, '; ') from policy_fault)
union all
select 'status check', 'bad',
       (select string_agg(format('constraint %I does not allow sending, delivered, unconfirmed', conname), '; ') from narrow),
       'allows Punctual''s states',
       'every claim fails: ' || (select string_agg(format('alter table scheduled_messages drop constraint %I', conname), '; ') from narrow)
union all
select 'app triggers', 'warn',
       (select string_agg(tgname, ', ') || ' changes states or times, or runs after the guard' from meddling), 'no conflict',
       'let it leave status and times unchanged, and name it so that it sorts before zzz_punctual'
union all
select 'web hooks', 'warn',
       (select string_agg(tgname, ', ') || ' makes requests when rows change' from calling), 'none on the table',
       'if it sends messages, every recipient is texted twice: drop the trigger'
union all
select 'who may write', 'bad',
       (select string_agg(rolname || ' may ' || privileges || ' without row level security', '; ') from open_to),
       'no access without a login',
       'anyone with the app''s public key can send texts at your cost: alter table scheduled_messages enable row level security, with policies for your users'
