-- expected_column ─▶ other_column ─▶ lost_column, policy_fault
-- Columns of the app's tables that are missing or have another type than Punctual reads: one row for each
-- check, as in doctor_server.sql. Reads the catalog only.
with expected_column (tab, name, type) as (
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
  select distinct 'user_sms_preferences', s.col, 'boolean' from (values switches!()) as s (col, kind)
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
  select tab || '.' || name as name from other_column
   -- Others are written where there is a mapping.
   where type is null and to_regproc('punctual.app__write') is null
), policy_fault as (
  select distinct format('table %s is missing', tab) as fault, format('make %s as `punctual migrate --print` shows', tab) as cure
    from other_column
   where type is not null and no_table
  union all
  select format('%s.%s is missing', tab, name), format('alter table public.%s add column %I %s', tab, name, type)
    from other_column
   where type is not null and not no_table and is_type is null
  union all
  select format('%s.%s is %s, not %s', tab, name, is_type, type),
         format('alter table public.%s alter column %I type %s using %2$I::%3$s', tab, name, type)
    from other_column
   where type is not null and is_type is not null
  union all
  select format('%s is not a table, so its changes are not followed', c.relname), 'keep it as a table'
    from pg_catalog.pg_class c
   where c.oid in (select to_regclass('public.' || tab) from expected_column where type is not null)
     and c.relkind not in ('r', 'p')
)
select 'app tables' as what, 'warn' as level,
       (select string_agg(name, ', ' order by name) || ' missing' from lost_column) as found, 'as expected' as fine,
       'messages are sent, but their rows in `messages` wait in punctual.outbox' as remedy
union all
select 'policy tables', 'warn',
       (select string_agg(fault, '; ' order by fault) from policy_fault), 'as expected',
       'rules whose column is missing are skipped; other types are cast, or ignored: '
         || (select string_agg(distinct cure, '; ') from policy_fault)
