-- What a claim must know beyond its message. Programs before this one know none of it and would send what must wait:
-- the ledger refuses their claims (punctual.this_program_is_too_old).
insert into punctual.migrations (version, name, checksum, oldest_program)
values (20261129020000, 'migrations/20261129020000_claim.sql', '', 2)
on conflict (version) do nothing;

-- The number of the program that an instance runs, as its session says it; null: of one before 2, which does not.
alter table punctual.instances add column if not exists program int;
alter table punctual.instances alter column program
  set default nullif(current_setting('punctual.program', true), '')::int;

-- Pauses. One row for each that has ever been made for the same thing: it is in force until `until`. One that has
-- ended stays for a while, because the lateness of what it stopped counts from its end.
create table if not exists punctual.pauses (
  scope text not null check (scope in ('everything', 'lane', 'sender', 'campaign', 'user', 'message_type')),
  -- Which one: the lane's channel, the sender, the campaign's id, the user's id, the type; empty for everything.
  what  text not null default '',
  until timestamptz not null default 'infinity',
  why   text,
  who   text not null default session_user,
  at    timestamptz not null default clock_timestamp(),
  primary key (scope, what),
  check ((what = '') = (scope = 'everything'))
);
create index if not exists pauses_until_idx on punctual.pauses (until);

-- Parts. A message of several texts is pending between them.
-- How many of its parts the provider has accepted, in order, and how many there are; null: not more than one, as far as
-- is known. Both are kept by Punctual, like `attempts`.
do $$
begin
  if exists (select from pg_catalog.pg_attribute a
              where a.attrelid = 'public.scheduled_messages'::regclass and a.attname in ('parts_done', 'parts_total')
                and not a.attisdropped and a.atttypid <> 'pg_catalog.int4'::regtype) then
    raise exception 'scheduled_messages has a column parts_done or parts_total that is not an integer: keep it under another name, '
                    'with alter table public.scheduled_messages rename column';
  end if;
end
$$;
alter table public.scheduled_messages add column if not exists parts_done int not null default 0;
alter table public.scheduled_messages add column if not exists parts_total int;
-- Of an attempt at a first part: the texts of all parts, kept before its request.
alter table punctual.attempts add column if not exists texts text[];
-- What divides a text into parts, as the running daemon has it; empty: nothing does. Null: not known.
alter table punctual.settings add column if not exists part_separator text;

-- Paces. One row for each campaign whose messages keep a distance from each other. The claim of one takes the slot and
-- moves `next_at`, whatever instance makes it.
create table if not exists punctual.paces (
  id       uuid primary key default gen_random_uuid(),
  scope    text not null default 'campaign' check (scope in ('campaign')),
  -- Which one: the campaign's id.
  what     text not null,
  -- The gap after each message is drawn between these.
  gap_min  interval not null,
  gap_max  interval not null,
  -- The gap is a function of this and of the number of the slot, so that it is never drawn again.
  seed     bigint not null default (random() * 9007199254740991)::bigint,
  position bigint not null default 0,
  -- No message starts before this.
  next_at  timestamptz not null default clock_timestamp(),
  -- The attempt that took the latest slot, and when that was: one that is not used is returned.
  token    uuid,
  slot     timestamptz,
  who      text not null default session_user,
  at       timestamptz not null default clock_timestamp(),
  unique (scope, what)
);
create index if not exists paces_token_idx on punctual.paces (token);
