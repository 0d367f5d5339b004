-- The tables for notifications of the app, as its own papers have them. Needs `users`.
create table notification_events (
  id uuid primary key default gen_random_uuid(),
  event_type text not null check (event_type ~ '^[a-z]+\.[a-z_]+$'),
  event_source text not null check (event_source in ('database_trigger', 'worker_job', 'api_action', 'cron_scheduler')),
  actor_user_id uuid references users(id) on delete set null, target_user_id uuid references users(id) on delete set null,
  payload jsonb not null default '{}'::jsonb, created_at timestamptz default now(), metadata jsonb);
create table notification_subscriptions (
  id uuid primary key default gen_random_uuid(), user_id uuid not null references users(id) on delete cascade,
  event_type text not null, is_active boolean default true, admin_only boolean default false, filters jsonb,
  created_at timestamptz default now(), updated_at timestamptz default now(), created_by uuid references users(id),
  unique (user_id, event_type));
create table user_notification_preferences (
  id uuid primary key default gen_random_uuid(), user_id uuid not null references users(id) on delete cascade,
  event_type text not null, push_enabled boolean default true, email_enabled boolean default true,
  sms_enabled boolean default false, in_app_enabled boolean default true,
  priority text default 'normal' check (priority in ('urgent', 'normal', 'low')),
  batch_enabled boolean default false, batch_interval_minutes integer, quiet_hours_enabled boolean default false,
  quiet_hours_start time default '22:00:00', quiet_hours_end time default '08:00:00', timezone text default 'UTC',
  max_per_day integer, max_per_hour integer, created_at timestamptz default now(), updated_at timestamptz default now(),
  unique (user_id, event_type));
create table notification_deliveries (
  id uuid primary key default gen_random_uuid(), event_id uuid references notification_events(id) on delete cascade,
  subscription_id uuid references notification_subscriptions(id) on delete set null,
  recipient_user_id uuid not null references users(id) on delete cascade,
  channel text not null check (channel in ('push', 'email', 'sms', 'in_app')), channel_identifier text,
  status text not null default 'pending'
    check (status in ('pending', 'sent', 'delivered', 'failed', 'bounced', 'opened', 'clicked')),
  payload jsonb not null default '{}'::jsonb, sent_at timestamptz, delivered_at timestamptz, opened_at timestamptz,
  clicked_at timestamptz, failed_at timestamptz, attempts integer default 0, max_attempts integer default 3, last_error text,
  external_id text, tracking_id text, created_at timestamptz default now(), updated_at timestamptz default now());
