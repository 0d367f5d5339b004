-- The tables of the surrounding app, as far as Punctual touches them. Where the app already
-- has them, nothing here changes them.

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
  contact_id      uuid references public.contacts (id) on delete set null,
  last_message_at timestamptz,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now()
);

create table if not exists public.messages (
  id              uuid primary key default gen_random_uuid(),
  conversation_id uuid references public.conversations (id) on delete cascade,
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
  conversation_id uuid references public.conversations (id) on delete set null,
  to_number       text not null,
  from_number     text,
  body            text not null,
  template_id     uuid references public.sms_templates (id) on delete set null,
  scheduled_at    timestamptz not null,
  status          text not null default 'pending',
  sent_at         timestamptz,
  error_message   text,
  created_by      uuid references public.profiles (id) on delete set null,
  metadata        jsonb not null default '{}',
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now()
);

-- Looked up for every message sent; only where the lookup column is there at all.
do $$
begin
  if exists (select from pg_catalog.pg_attribute
              where attrelid = 'public.conversations'::regclass
                and attname = 'phone_number' and not attisdropped)
     and not exists (select from pg_catalog.pg_class
                      where relnamespace = 'public'::regnamespace
                        and relname = 'conversations_phone_number_idx')
     and (select count(*) from (select from public.conversations limit 100000) few) < 100000
  then
    create index conversations_phone_number_idx on public.conversations (phone_number);
  end if;
  if exists (select from pg_catalog.pg_attribute
              where attrelid = 'public.contacts'::regclass
                and attname = 'phone_number' and not attisdropped)
     and not exists (select from pg_catalog.pg_class
                      where relnamespace = 'public'::regnamespace
                        and relname = 'contacts_phone_number_idx')
     and (select count(*) from (select from public.contacts limit 100000) few) < 100000
  then
    create index contacts_phone_number_idx on public.contacts (phone_number);
  end if;
end
$$;
