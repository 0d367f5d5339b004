-- What users are still to be notified of: outcomes of their messages (triggers/user_notices.sql).
create table if not exists punctual.user_notices (
  id         bigint primary key generated always as identity,
  message_id uuid not null,
  user_id    uuid not null,
  event      text not null,
  created_at timestamptz not null default clock_timestamp()
);
