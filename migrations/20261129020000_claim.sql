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
