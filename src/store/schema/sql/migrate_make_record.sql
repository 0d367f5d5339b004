-- What was applied by `punctual migrate`. `supabase db push` keeps its own record.
create schema if not exists punctual;
revoke all on schema punctual from public;
create table if not exists punctual.migrations (
  version    bigint primary key,
  name       text not null,
  checksum   text not null,
  applied_at timestamptz not null default clock_timestamp()
);
create table if not exists punctual.triggers (
  name       text primary key,
  checksum   text not null,
  applied_at timestamptz not null default clock_timestamp()
);
