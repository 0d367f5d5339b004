-- By what an instance recognises the history of its database, and what is kept back after that has changed.

-- The number of the instance's latest heartbeat; null: of a version that does not count them.
alter table punctual.instances add column if not exists beats bigint;

-- The quarantine after a restore, or after a standby took over without everything. One row; one that has
-- ended stays until the next begins.
create table if not exists punctual.quarantine (
  one         boolean primary key default true check (one),
  -- Pending messages that are due before this are not claimed.
  due_before  timestamptz not null,
  began_at    timestamptz not null default clock_timestamp(),
  noticed_by  uuid not null,
  -- The instances that ran when the history changed, and have not said yet that everything they sent is recorded.
  -- The nil id: instances of which nothing is known.
  unaccounted uuid[] not null default '{}',
  ended_at    timestamptz
);

-- Messages that the quarantine keeps back no longer.
create table if not exists punctual.quarantine_cleared (
  message_id uuid primary key,
  cleared_at timestamptz not null default clock_timestamp()
);
