-- The planner of reminders (triggers/planner.sql, src/plan/reminders.rs): whose day is planned when, and what was
-- planned.

-- Whether it is on: `punctual migrate` switches it, by the settings.
create table if not exists punctual.planner (
  one   boolean primary key default true check (one),
  is_on boolean not null
);

-- Users with reminders, and when their day is planned next: at their next local midnight, or now.
create table if not exists punctual.planner_users (
  user_id uuid primary key,
  at      timestamptz not null
);
create index if not exists planner_users_at_idx on punctual.planner_users (at, user_id);

-- Users whose day is to be looked at again, because an event or a preference of theirs has changed.
create table if not exists punctual.planner_changes (
  id      bigint primary key generated always as identity,
  user_id uuid not null
);

-- What was planned. Kept past the event, so that nothing is planned twice, whatever became of its message.
create table if not exists punctual.planned (
  user_id           uuid not null,
  calendar_event_id text not null,
  -- Which time it is, of an event that takes place again under its id.
  occurrence        text not null default '',
  -- Without a reference: the app may delete that.
  message_id        uuid not null,
  starts_at         timestamptz not null,
  planned_at        timestamptz not null default clock_timestamp(),
  primary key (user_id, calendar_event_id, occurrence)
);
create index if not exists planned_starts_at_idx on punctual.planned (starts_at);

revoke all on punctual.planner, punctual.planner_users, punctual.planner_changes, punctual.planned from PUBLIC;
