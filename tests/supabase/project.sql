-- A Supabase project as its owner finds it, as far as it matters here: the API's roles, the
-- user's id from the request, and the app's table, open to each user for their own rows.

create schema auth;
create function auth.uid() returns uuid language sql stable as
  $$ select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid $$;
grant usage on schema auth, public to anon, authenticated, service_role;

create table public.profiles (id uuid primary key);
insert into public.profiles values ('11111111-1111-4111-8111-111111111111');
create table public.scheduled_messages (
  id              uuid primary key default gen_random_uuid(),
  to_number       text not null,
  from_number     text,
  body            text not null,
  scheduled_at    timestamptz not null,
  status          text not null default 'pending' check (status in ('pending', 'sent', 'failed', 'cancelled')),
  sent_at         timestamptz,
  error_message   text,
  created_by      uuid default auth.uid() references public.profiles (id) on delete set null,
  metadata        jsonb not null default '{}',
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now()
);
alter table public.scheduled_messages enable row level security;
create policy own on public.scheduled_messages to authenticated
  using (created_by = (select auth.uid())) with check (created_by = (select auth.uid()));
grant select, insert, update, delete on public.scheduled_messages to authenticated, service_role;

-- Two days away; one of each kind is being sent by the time it is asked for.
insert into public.scheduled_messages (to_number, body, scheduled_at, created_by)
select number, 'hello', now() + interval '2 days', '11111111-1111-4111-8111-111111111111'
  from unnest(array['+15550000001', '+15550000002', '+15550000002', '+15550000002', '+15550000003', '+15550000004', '+15550000004']) as number;
