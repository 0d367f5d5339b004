-- How the app's tables for sent messages are called, where they have names of their own (triggers/tables_setup.sql).

create table if not exists punctual.app_tables (
  one        boolean primary key default true check (one),
  -- As the settings have it.
  definition jsonb not null,
  mapped_at  timestamptz not null default clock_timestamp()
);
