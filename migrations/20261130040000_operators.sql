-- What operators see and do.

-- Forecasts. What each instance publishes of itself, for the forecasts that others make: its lanes, why it sends
-- nothing, the rules it judges by (src/forecast/published.rs). Null: of a version that publishes nothing.
alter table punctual.instances add column if not exists state jsonb;
-- The one that stopped last. Heartbeats do not touch it.
create index if not exists instances_stopped_idx on punctual.instances (stopped_at) where stopped_at is not null;

-- ------------------------------------------------------------------ history
-- Who changed or deleted a message other than the daemon, and what of it: one row for each message that a statement
-- changed (triggers/changes.sql). An insert is not in it, because the row itself shows that.
create table if not exists punctual.history (
  id          bigint generated always as identity primary key,
  message_id  uuid not null,
  at          timestamptz not null default clock_timestamp(),
  op          text not null check (op in ('update', 'delete')),
  -- The role of the session, which nobody can invent. The rest is what the session said of itself: who acts for others
  -- (punctual.actor), whose request it is (the subject of the JWT, from PostgREST), and which program
  -- (application_name).
  role        text not null,
  actor       text,
  subject     text,
  application text,
  -- The columns that changed, with their values before and after. Of a deleted row: what it was, without recipient and
  -- text; `new` is null then.
  old         jsonb not null,
  new         jsonb
);
create index if not exists history_message_idx on punctual.history (message_id);

-- ---------------------------------------------------------------- retention
create index if not exists deleted_events_deleted_at_idx on punctual.deleted_events (deleted_at);
