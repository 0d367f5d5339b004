-- The tables of the surrounding app, as far as Punctual touches them: created where they are
-- missing, and given the columns they lack. What the app already has, of whatever shape, stays as
-- it is; the table of another owner, and what is no table, are left alone.
--
-- Every new column is nullable or has a constant default, and every CHECK is NOT VALID, so no row is
-- read or rewritten while a table is locked, and the app's own inserts go on working. Where nothing is
-- missing nothing is locked. The columns of scheduled_messages are the next file's.

do $$
declare
  made constant text[] := array(
    select t.name
      from unnest(array['profiles', 'contacts', 'conversations', 'messages', 'sms_templates',
                        'scheduled_messages', 'user_sms_preferences', 'task_calendar_events']) as t (name)
     where to_regclass('public.' || t.name) is null);
  -- What is added here: table.column.
  fresh text[] := '{}';
  wanted record;
begin
  create table if not exists public.profiles (
    id         uuid primary key default gen_random_uuid(),
    created_at timestamptz not null default now()
  );

  create table if not exists public.contacts (
    id           uuid primary key default gen_random_uuid(),
    name         text,
    phone_number text,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
  );

  create table if not exists public.conversations (
    id              uuid primary key default gen_random_uuid(),
    phone_number    text not null,
    contact_id      uuid,
    last_message_at timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now()
  );

  create table if not exists public.messages (
    id              uuid primary key default gen_random_uuid(),
    conversation_id uuid,
    direction       text not null check (direction in ('inbound', 'outbound')),
    body            text,
    from_number     text,
    to_number       text,
    twilio_sid      text,
    status          text,
    metadata        jsonb not null default '{}',
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now()
  );

  create table if not exists public.sms_templates (
    id               uuid primary key default gen_random_uuid(),
    name             text,
    message_template text,
    created_at       timestamptz not null default now(),
    updated_at       timestamptz not null default now()
  );

  create table if not exists public.user_sms_preferences (
    id      uuid primary key default gen_random_uuid(),
    user_id uuid not null unique
  );

  create table if not exists public.task_calendar_events (
    id                uuid primary key default gen_random_uuid(),
    calendar_event_id text not null,
    user_id           uuid not null,
    unique (calendar_event_id, user_id)
  );

  create table if not exists public.scheduled_messages (
    id              uuid primary key default gen_random_uuid(),
    conversation_id uuid,
    to_number       text not null,
    from_number     text,
    body            text not null,
    template_id     uuid,
    scheduled_at    timestamptz not null,
    status          text not null default 'pending',
    sent_at         timestamptz,
    error_message   text,
    created_by      uuid,
    metadata        jsonb not null default '{}',
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now()
  );

  -- References lead from what was made just now to whatever can be referred to: an app's table
  -- of another shape, or of another owner's, is not to be in the way.
  for wanted in
    select l.tab, l.col, l.target, l.on_delete
      from (values ('conversations', 'contact_id', 'contacts', 'set null'),
                   ('messages', 'conversation_id', 'conversations', 'cascade'),
                   ('scheduled_messages', 'conversation_id', 'conversations', 'set null'),
                   ('scheduled_messages', 'template_id', 'sms_templates', 'set null'),
                   ('scheduled_messages', 'created_by', 'profiles', 'set null')
           ) as l (tab, col, target, on_delete)
      join pg_catalog.pg_class c
        on c.oid = to_regclass('public.' || l.target) and c.relkind in ('r', 'p')
     where l.tab = any (made)
       and pg_catalog.has_table_privilege(c.oid, 'references')
       and exists (select from pg_catalog.pg_constraint k
                     join pg_catalog.pg_attribute a on a.attrelid = c.oid and k.conkey = array[a.attnum]
                    where k.conrelid = c.oid and k.contype in ('p', 'u')
                      and a.attname = 'id' and a.atttypid = 'uuid'::regtype)
  loop
    execute format('alter table public.%I add foreign key (%I) references public.%I (id) on delete %s',
                   wanted.tab, wanted.col, wanted.target, wanted.on_delete);
  end loop;

  -- The columns, one statement a table. A row of preferences that was there before has chosen nothing,
  -- so nothing is added that would defer its messages: its new columns are null, and only rows to come
  -- get the default. But a phone that the app has texted all along is as good as verified.
  for wanted in
    with columns as (
      select w.*, c.oid, w.tab = any (made) or w.at_once as at_once_here
        from (values
          ('user_sms_preferences', 'phone_number',            'text', null, false),
          ('user_sms_preferences', 'phone_verified',          'boolean', 'false', false),
          ('user_sms_preferences', 'phone_verified_at',       'timestamptz', null, false),
          ('user_sms_preferences', 'task_reminders',          'boolean', 'false', false),
          ('user_sms_preferences', 'daily_brief_sms',         'boolean', 'false', false),
          ('user_sms_preferences', 'urgent_alerts',           'boolean', 'true', false),
          ('user_sms_preferences', 'morning_kickoff_enabled', 'boolean', 'false', false),
          ('user_sms_preferences', 'morning_kickoff_time',    'time', '''08:00''', false),
          ('user_sms_preferences', 'evening_recap_enabled',   'boolean', 'false', false),
          ('user_sms_preferences', 'next_up_enabled',         'boolean', 'false', false),
          ('user_sms_preferences', 'event_reminders_enabled', 'boolean', 'false', false),
          ('user_sms_preferences', 'quiet_hours_start',       'time', '''21:00''', false),
          ('user_sms_preferences', 'quiet_hours_end',         'time', '''08:00''', false),
          ('user_sms_preferences', 'timezone',                'text', '''America/Los_Angeles''', false),
          ('user_sms_preferences', 'daily_sms_limit',         'int', '10', false),
          ('user_sms_preferences', 'daily_sms_count',         'int', '0', true),
          ('user_sms_preferences', 'daily_count_reset_at',    'timestamptz', 'now()', false),
          ('user_sms_preferences', 'opted_out',               'boolean', 'false', true),
          ('user_sms_preferences', 'opted_out_at',            'timestamptz', null, false),
          ('user_sms_preferences', 'opt_out_reason',          'text', null, false),
          ('user_sms_preferences', 'created_at',              'timestamptz', 'now()', true),
          ('user_sms_preferences', 'updated_at',              'timestamptz', 'now()', true),
          ('sms_templates', 'template_key',     'text', null, true),
          ('sms_templates', 'name',             'text', null, true),
          ('sms_templates', 'description',      'text', null, true),
          ('sms_templates', 'message_template', 'text', null, true),
          ('sms_templates', 'template_vars',    'jsonb', '''[]''', true),
          ('sms_templates', 'required_vars',    'jsonb', '''[]''', true),
          ('sms_templates', 'max_length',       'int', '160', true),
          ('sms_templates', 'is_active',        'boolean', 'true', true),
          ('sms_templates', 'usage_count',      'bigint', '0', true),
          ('sms_templates', 'last_used_at',     'timestamptz', null, true),
          ('sms_templates', 'created_at',       'timestamptz', 'now()', true),
          ('sms_templates', 'updated_at',       'timestamptz', 'now()', true),
          ('task_calendar_events', 'event_title', 'text', null, true),
          ('task_calendar_events', 'event_start', 'timestamptz', null, true),
          ('task_calendar_events', 'event_end',   'timestamptz', null, true),
          ('task_calendar_events', 'event_link',  'text', null, true),
          ('task_calendar_events', 'sync_status', 'text', '''pending''', true),
          ('task_calendar_events', 'created_at',  'timestamptz', 'now()', true),
          ('task_calendar_events', 'updated_at',  'timestamptz', 'now()', true)
        ) as w (tab, col, type, standard, at_once)
        join pg_catalog.pg_class c
          on c.oid = to_regclass('public.' || w.tab) and c.relkind in ('r', 'p')
         and pg_catalog.pg_has_role(c.relowner, 'usage')
       where not exists (select from pg_catalog.pg_attribute a
                          where a.attrelid = c.oid and a.attname = w.col and not a.attisdropped)
    )
    select tab, array_agg(tab || '.' || col) as added,
           string_agg(format('add column %I %s', col, type)
                      || case when standard is null then ''
                              when at_once_here then ' default ' || standard
                              when col = 'phone_verified' then ' default true'
                              else '' end, ', ') as adds,
           string_agg(format('alter column %I set default %s', col, standard), ', ')
             filter (where standard is not null and not at_once_here) as later
      from columns
     group by tab
     order by tab
  loop
    execute format('alter table public.%I %s', wanted.tab, wanted.adds);
    if wanted.later is not null then
      execute format('alter table public.%I %s', wanted.tab, wanted.later);
    end if;
    fresh := fresh || wanted.added;
  end loop;

  -- A column that the app already had keeps the app's words: our CHECK would refuse its inserts.
  for wanted in
    select w.tab, w.name, w.expr
      from (values
        ('sms_templates', 'message_template', 'sms_templates_message_template_punctual', 'message_template ~ ''\S'''),
        ('sms_templates', 'template_key', 'sms_templates_template_key_punctual', 'template_key ~ ''^[a-z0-9_]+$'''),
        ('sms_templates', 'max_length', 'sms_templates_max_length_punctual', 'max_length > 0'),
        ('user_sms_preferences', 'daily_sms_limit', 'user_sms_preferences_limit_punctual', 'daily_sms_limit >= 0'),
        ('task_calendar_events', 'sync_status', 'task_calendar_events_sync_status_punctual',
         'sync_status in (''pending'', ''failed'', ''cancelled'', ''synced'')')
      ) as w (tab, col, name, expr)
     where (w.tab = any (made) or w.tab || '.' || w.col = any (fresh))
       and not exists (select from pg_catalog.pg_constraint k
                        where k.conrelid = to_regclass('public.' || w.tab) and k.conname = w.name)
  loop
    execute format('alter table public.%I add constraint %I check (%s) not valid',
                   wanted.tab, wanted.name, wanted.expr);
  end loop;
  if 'sms_templates.template_key' = any (fresh) then
    create unique index if not exists sms_templates_template_key_idx on public.sms_templates (template_key);
  end if;

  -- Supabase serves every table of schema public to the role anon. What was made here opens
  -- only by the policies its owner writes.
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    for wanted in select m.name from unnest(made) as m (name) loop
      execute format('alter table public.%I enable row level security', wanted.name);
    end loop;
  end if;
end
$$;
