-- What the numbering plans of their countries say against the recipients of pending messages. The daemon's library judges
-- them, a week ahead and an hour ahead; inserts do nothing for it.

-- Pending text messages whose number is not assigned, or is a premium-rate one. A row counts as long as the message is
-- pending in this version; one whose time has passed is deleted.
create table if not exists punctual.number_faults (
  message_id uuid primary key,
  fault      text not null check (fault in ('country_code', 'length', 'unassigned', 'premium')),
  -- When the message is due, and its `version`, as they were then.
  due        timestamptz not null,
  version    bigint not null,
  at         timestamptz not null default clock_timestamp()
);
create index if not exists number_faults_due_idx on punctual.number_faults (due);

-- How far that has come: of what is due so many seconds ahead, all that is due until then.
create table if not exists punctual.number_checks (
  ahead_s bigint primary key,
  until   timestamptz not null
);
