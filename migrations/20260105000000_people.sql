-- What the app knows of the people it texts: their preferences, the templates, their calendar.
-- Made where it is missing; where the app has it, only what it lacks is added, nullable or with
-- a constant default, so that no row is rewritten and the app's own inserts go on working. The
-- table of another owner, or what is no table, is left alone: what is missing there is not asked.

do $$
declare
  fresh constant text[] := array(
    select name from unnest(array['user_sms_preferences', 'sms_templates', 'task_calendar_events']) as name
     where to_regclass('public.' || name) is null);
  -- As an earlier file made it, and nobody has touched it since: its CHECKs are ours to give.
  templates_are_ours constant boolean := (
    select coalesce(array_agg(a.attname::text order by a.attname::text), '{}')
           = '{created_at,id,message_template,name,updated_at}'
      from pg_catalog.pg_attribute a
     where a.attrelid = to_regclass('public.sms_templates') and a.attnum > 0 and not a.attisdropped);
  wanted record;
  name text;
begin
  create table if not exists public.user_sms_preferences (
    id      uuid primary key default gen_random_uuid(),
    user_id uuid not null unique
  );
  create table if not exists public.sms_templates (
    id               uuid primary key default gen_random_uuid(),
    name             text,
    message_template text not null
  );
  create table if not exists public.task_calendar_events (
    id                uuid primary key default gen_random_uuid(),
    calendar_event_id text not null,
    user_id           uuid not null,
    unique (calendar_event_id, user_id)
  );

  for wanted in
    select w.tab, w.col, w.type, w.standard
      from (values
        ('user_sms_preferences', 'phone_number',            'text', null),
        ('user_sms_preferences', 'phone_verified',          'boolean', 'false'),
        ('user_sms_preferences', 'phone_verified_at',       'timestamptz', null),
        ('user_sms_preferences', 'task_reminders',          'boolean', 'false'),
        ('user_sms_preferences', 'daily_brief_sms',         'boolean', 'false'),
        ('user_sms_preferences', 'urgent_alerts',           'boolean', 'true'),
        ('user_sms_preferences', 'morning_kickoff_enabled', 'boolean', 'false'),
        ('user_sms_preferences', 'morning_kickoff_time',    'time', '''08:00'''),
        ('user_sms_preferences', 'evening_recap_enabled',   'boolean', 'false'),
        ('user_sms_preferences', 'next_up_enabled',         'boolean', 'false'),
        ('user_sms_preferences', 'event_reminders_enabled', 'boolean', 'false'),
        ('user_sms_preferences', 'quiet_hours_start',       'time', '''21:00'''),
        ('user_sms_preferences', 'quiet_hours_end',         'time', '''08:00'''),
        ('user_sms_preferences', 'timezone',                'text', '''America/Los_Angeles'''),
        ('user_sms_preferences', 'daily_sms_limit',         'int', '10'),
        ('user_sms_preferences', 'daily_sms_count',         'int', '0'),
        ('user_sms_preferences', 'daily_count_reset_at',    'timestamptz', 'now()'),
        ('user_sms_preferences', 'opted_out',               'boolean', 'false'),
        ('user_sms_preferences', 'opted_out_at',            'timestamptz', null),
        ('user_sms_preferences', 'opt_out_reason',          'text', null),
        ('user_sms_preferences', 'created_at',              'timestamptz', 'now()'),
        ('user_sms_preferences', 'updated_at',              'timestamptz', 'now()'),
        ('sms_templates', 'template_key',     'text', null),
        ('sms_templates', 'name',             'text', null),
        ('sms_templates', 'description',      'text', null),
        ('sms_templates', 'message_template', 'text', null),
        ('sms_templates', 'template_vars',    'jsonb', '''[]'''),
        ('sms_templates', 'required_vars',    'jsonb', '''[]'''),
        ('sms_templates', 'max_length',       'int', '160'),
        ('sms_templates', 'is_active',        'boolean', 'true'),
        ('sms_templates', 'usage_count',      'bigint', '0'),
        ('sms_templates', 'last_used_at',     'timestamptz', null),
        ('sms_templates', 'created_at',       'timestamptz', 'now()'),
        ('sms_templates', 'updated_at',       'timestamptz', 'now()'),
        ('task_calendar_events', 'event_title', 'text', null),
        ('task_calendar_events', 'event_start', 'timestamptz', null),
        ('task_calendar_events', 'event_end',   'timestamptz', null),
        ('task_calendar_events', 'event_link',  'text', null),
        ('task_calendar_events', 'sync_status', 'text', '''pending'''),
        ('task_calendar_events', 'created_at',  'timestamptz', 'now()'),
        ('task_calendar_events', 'updated_at',  'timestamptz', 'now()')
      ) as w (tab, col, type, standard)
      join pg_catalog.pg_class c
        on c.oid = to_regclass('public.' || w.tab) and c.relkind in ('r', 'p')
       and pg_catalog.pg_has_role(c.relowner, 'usage')
     where not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = c.oid and a.attname = w.col and not a.attisdropped)
  loop
    -- A row that was there before has chosen nothing, so nothing is added that would hold up its
    -- texts: its new columns are null. Only a phone the app has texted all along is as good as
    -- verified, and a count begins at 0. Rows to come get what a new table gives them.
    execute format('alter table public.%I add column %I %s%s', wanted.tab, wanted.col, wanted.type,
      case when wanted.col = 'phone_verified' and wanted.tab <> all (fresh) then ' default true'
           when wanted.standard is not null
                and (wanted.tab = any (fresh) or wanted.tab <> 'user_sms_preferences'
                     or wanted.col in ('daily_sms_count', 'opted_out', 'created_at', 'updated_at'))
           then ' default ' || wanted.standard else '' end);
    if wanted.standard is not null then
      execute format('alter table public.%I alter column %I set default %s', wanted.tab, wanted.col, wanted.standard);
    end if;
    if wanted.col = 'template_key' then
      alter table public.sms_templates add constraint sms_templates_template_key_punctual
        check (template_key ~ '^[a-z0-9_]+$') not valid;
      create unique index if not exists sms_templates_template_key_idx on public.sms_templates (template_key);
    elsif wanted.col = 'max_length' then
      alter table public.sms_templates add constraint sms_templates_max_length_punctual
        check (max_length > 0) not valid;
    elsif wanted.col = 'daily_sms_limit' then
      alter table public.user_sms_preferences add constraint user_sms_preferences_limit_punctual
        check (daily_sms_limit >= 0) not valid;
    elsif wanted.col = 'sync_status' then
      alter table public.task_calendar_events add constraint task_calendar_events_sync_status_punctual
        check (sync_status in ('pending', 'failed', 'cancelled', 'synced')) not valid;
    end if;
  end loop;
  if 'sms_templates' = any (fresh) or templates_are_ours then
    alter table public.sms_templates add constraint sms_templates_message_template_punctual
      check (message_template ~ '\S') not valid;
  end if;

  -- Supabase serves every table of schema public to the role anon. What was made here opens
  -- only by the policies its owner writes.
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    foreach name in array fresh loop
      execute format('alter table public.%I enable row level security', name);
    end loop;
  end if;

  -- For people and apps; one of that name is the app's own. It sees what its caller may see.
  if not exists (select from pg_catalog.pg_proc p
                  where p.pronamespace = 'public'::regnamespace and p.proname = 'get_user_sms_channel_info') then
    create function public.get_user_sms_channel_info(p_user_id uuid)
    returns table (has_sms_available boolean, phone_number text, phone_verified boolean,
                   phone_verified_at timestamptz, opted_out boolean)
    language plpgsql stable set search_path = '' as $f$
    begin
      return query
        select p.phone_verified and not p.opted_out and coalesce(p.phone_number, '') ~ '\S',
               p.phone_number::text, p.phone_verified, p.phone_verified_at, p.opted_out
          from public.user_sms_preferences p
         where p.user_id = p_user_id;
      if not found then
        return query select false, null::text, false, null::timestamptz, false;
      end if;
    end
    $f$;
  end if;
end
$$;
