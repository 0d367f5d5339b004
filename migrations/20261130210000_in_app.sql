-- What channel in_app delivers: messages that the app itself shows. Users read their own, and mark them as read; only a
-- daemon writes them (triggers/in_app.sql).
create table if not exists punctual_api.in_app_messages (
  id           uuid primary key default gen_random_uuid(),
  user_id      uuid not null,
  -- Of which scheduled message, and which part of it. A second request for it makes no second row. Without a reference:
  -- the app may delete the scheduled message.
  message_id   uuid not null,
  part         int not null,
  message_type text,
  subject      text,
  body         text not null,
  created_at   timestamptz not null default clock_timestamp(),
  -- Set by the user's app.
  read_at      timestamptz,
  unique (message_id, part)
);
-- What a user sees, the latest first.
create index if not exists in_app_messages_user_idx on punctual_api.in_app_messages (user_id, created_at);
-- For retention.
create index if not exists in_app_messages_created_at_idx on punctual_api.in_app_messages (created_at);
revoke all on punctual_api.in_app_messages from PUBLIC;
alter table punctual_api.in_app_messages enable row level security;
