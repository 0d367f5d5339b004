-- Punctual's own state. No foreign key leads from here to the app's tables: a row the app
-- deletes must not take the proof of what was sent along.

create schema if not exists punctual;
revoke all on schema punctual from public;

-- Who is running. An instance that stops beating is dead; its claims outlive it.
create table if not exists punctual.instances (
  id           uuid primary key,
  started_at   timestamptz not null default clock_timestamp(),
  heartbeat_at timestamptz not null default clock_timestamp(),
  stopped_at   timestamptz,
  version      text not null
);

-- The ledger: one row an attempt, written in the transaction of the claim, completed with the
-- outcome. An attempt without an outcome is in flight; one that is `unknown` is in doubt.
create table if not exists punctual.attempts (
  token        uuid primary key,
  message_id   uuid not null,
  number       int not null,
  part         smallint not null default 0,
  instance     uuid not null,
  claimed_at   timestamptz not null default clock_timestamp(),
  lease_until  timestamptz not null,
  started_at   timestamptz,
  finished_at  timestamptz,
  outcome      text check (outcome in ('accepted', 'refused', 'throttled', 'unsent', 'unknown',
                                       'rejected', 'cancelled', 'returned')),
  provider_sid text,
  code         int,
  category     text,
  error        text,
  unique (message_id, number, part)
);
create unique index if not exists attempts_provider_sid_key
  on punctual.attempts (provider_sid) where provider_sid is not null;
-- Claims nobody has settled yet, by the end of their lease.
create index if not exists attempts_open_idx
  on punctual.attempts (lease_until) where outcome is null;

-- Writes into the app's tables that the app refused: the outcome stands, these are retried.
create table if not exists punctual.outbox (
  id              bigint generated always as identity primary key,
  message_id      uuid not null,
  write           jsonb not null,
  attempts        int not null default 0,
  next_attempt_at timestamptz not null default clock_timestamp(),
  last_error      text not null,
  created_at      timestamptz not null default clock_timestamp()
);
create index if not exists outbox_next_attempt_idx on punctual.outbox (next_attempt_at);
