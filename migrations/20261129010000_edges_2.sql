-- By age, for `punctual.forget`. A summary of each range of pages: claims are inserted in the order of time, and an
-- index entry a claim would cost more than it is worth.
create index if not exists attempts_claimed_at_brin on punctual.attempts using brin (claimed_at);

-- Messages that missed a change: also an opt-out of their user. Then they have no event here.
alter table punctual.missed_event_changes alter column calendar_event_id drop not null;

-- As which role an instance runs: what other roles write with punctual.writer = 'on' is recorded. Null: of a version
-- that did not say so.
alter table punctual.instances add column if not exists role text;
alter table punctual.instances alter column role set default current_user;
create index if not exists instances_role_idx on punctual.instances (role);

-- Transactions of other roles that wrote scheduled_messages with punctual.writer = 'on', and how many rows.
create table if not exists punctual.foreign_writes (
  xid      bigint not null,
  role     text not null,
  at       timestamptz not null default clock_timestamp(),
  -- The role may not write the ledger, so the guard applied to it.
  guarded  boolean not null,
  inserted bigint not null,
  updated  bigint not null,
  deleted  bigint not null,
  primary key (xid, role)
);
create index if not exists foreign_writes_at_idx on punctual.foreign_writes (at);

-- When a message was written: one that was written after a quarantine began is sent. The rows of a table that lacks the
-- column have none; rows to come do.
do $$
declare
  found constant text := (
    select pg_catalog.format_type(a.atttypid, null) from pg_catalog.pg_attribute a
     where a.attrelid = 'public.scheduled_messages'::regclass and a.attname = 'created_at' and not a.attisdropped);
begin
  if found is null then
    alter table public.scheduled_messages add column created_at timestamptz;
    alter table public.scheduled_messages alter column created_at set default now();
  elsif found not in ('timestamp with time zone', 'timestamp without time zone', 'date') then
    raise exception using errcode = 'PU001',
      message = format('column created_at of public.scheduled_messages is %s and must be timestamp with time zone; this '
                       'file was not applied: alter table public.scheduled_messages alter column created_at type '
                       'timestamptz using created_at::timestamptz, or keep yours under another name: alter table '
                       'public.scheduled_messages rename column created_at to app_created_at', found);
  end if;
end
$$;
