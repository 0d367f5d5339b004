-- Subscriptions to push messages: a browser's, each of one user. The app inserts them as its user, a daemon reads the
-- keys and ends what a push service does not know any more (triggers/push.sql).
create table if not exists punctual_api.push_subscriptions (
  id         uuid primary key default gen_random_uuid(),
  user_id    uuid not null,
  -- As `PushSubscription.toJSON()` has them. Who knows these can send to the browser.
  endpoint   text not null unique check (endpoint ~ '^https://' and length(endpoint) <= 2048),
  p256dh     text not null check (length(p256dh) between 87 and 88),
  auth       text not null check (length(auth) between 22 and 24),
  created_at timestamptz not null default clock_timestamp(),
  -- When, and why, the push service did not know it any more.
  ended_at   timestamptz,
  reason     text
);
create index if not exists push_subscriptions_user_idx on punctual_api.push_subscriptions (user_id);
-- For retention.
create index if not exists push_subscriptions_ended_at_idx on punctual_api.push_subscriptions (ended_at)
 where ended_at is not null;
revoke all on punctual_api.push_subscriptions from PUBLIC;
alter table punctual_api.push_subscriptions enable row level security;
