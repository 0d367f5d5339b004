-- The tables of the surrounding app, as far as Punctual touches them. What the app already
-- has, of whatever shape, stays as it is.

do $$
declare
  made constant text[] := array(
    select name from unnest(array['profiles', 'contacts', 'conversations', 'messages',
                                  'sms_templates', 'scheduled_messages']) as name
     where to_regclass('public.' || name) is null);
  link record;
  name text;
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
  for link in
    select l.source, l.col, l.target, l.on_delete
      from (values ('conversations', 'contact_id', 'contacts', 'set null'),
                   ('messages', 'conversation_id', 'conversations', 'cascade'),
                   ('scheduled_messages', 'conversation_id', 'conversations', 'set null'),
                   ('scheduled_messages', 'template_id', 'sms_templates', 'set null'),
                   ('scheduled_messages', 'created_by', 'profiles', 'set null')
           ) as l (source, col, target, on_delete)
      join pg_catalog.pg_class c
        on c.oid = to_regclass('public.' || l.target) and c.relkind in ('r', 'p')
     where l.source = any (made)
       and pg_catalog.has_table_privilege(c.oid, 'references')
       and exists (select from pg_catalog.pg_constraint k
                     join pg_catalog.pg_attribute a on a.attrelid = c.oid and k.conkey = array[a.attnum]
                    where k.conrelid = c.oid and k.contype in ('p', 'u')
                      and a.attname = 'id' and a.atttypid = 'uuid'::regtype)
  loop
    execute format('alter table public.%I add foreign key (%I) references public.%I (id) on delete %s',
                   link.source, link.col, link.target, link.on_delete);
  end loop;

  -- Supabase serves every table of schema public to the role anon. What was made here opens
  -- only by the policies its owner writes.
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    foreach name in array made loop
      execute format('alter table public.%I enable row level security', name);
    end loop;
  end if;
end
$$;
