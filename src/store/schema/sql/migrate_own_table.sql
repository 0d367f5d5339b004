-- The table of the messages, in a schema of its own: elsewhere a table of that name is followed. Migrations add the
-- rest.
do $$
begin
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
  -- As the migrations do for the tables that they make.
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    alter table public.scheduled_messages enable row level security;
  end if;
end
$$
