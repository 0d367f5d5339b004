-- Texts to new numbers by what they say, where so many equal ones are held for a person (triggers/bursts.sql,
-- docs/guards.md).
insert into punctual.migrations (version, name, checksum)
values (20261209120000, 'migrations/20261209120000_bursts.sql', '')
on conflict (version) do nothing;

create table if not exists punctual.bursts (
  message_id uuid primary key,
  -- What its text says: the beginning of a hash of it, without its digits and links. A pause of this holds it.
  what       text not null,
  at         timestamptz not null default clock_timestamp(),
  -- The pause of its text stops it.
  is_held    boolean not null default false,
  -- It was held, and is not to be again; or since when its message is known to wait nevertheless.
  freed_at   timestamptz
);
create index if not exists bursts_what_idx on punctual.bursts (what, at) where not is_held;
create index if not exists bursts_held_idx on punctual.bursts (what) where is_held;
create index if not exists bursts_at_idx on punctual.bursts (at) where not is_held and freed_at is null;
create index if not exists bursts_freed_at_idx on punctual.bursts (freed_at) where freed_at is not null;

revoke all on punctual.bursts from PUBLIC;

alter table punctual.pauses drop constraint if exists pauses_scope_check;
alter table punctual.pauses add constraint pauses_scope_check
  check (scope in ('everything', 'lane', 'sender', 'campaign', 'user', 'message_type', 'text'));
