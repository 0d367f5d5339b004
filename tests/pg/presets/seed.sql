-- The tables of the app, as its own papers have them.
create table users (id uuid primary key default gen_random_uuid(), email text);
create table queue_jobs (id uuid primary key default gen_random_uuid(), user_id uuid, job_type text, queue_job_id text,
  scheduled_for timestamptz, priority int default 10, status text default 'pending', error_message text,
  completed_at timestamptz, attempts int default 0, metadata jsonb, created_at timestamptz default now());
create type sms_status as enum ('pending', 'queued', 'sending', 'sent', 'delivered', 'failed', 'undelivered', 'scheduled',
  'cancelled');
create type sms_priority as enum ('low', 'normal', 'high', 'urgent');
create table sms_messages (
  id uuid default gen_random_uuid() primary key, user_id uuid not null references users(id) on delete cascade,
  phone_number text not null, message_content text not null,
  template_id uuid references sms_templates(id) on delete set null, template_vars jsonb,
  status sms_status not null default 'pending', priority sms_priority not null default 'normal',
  scheduled_for timestamptz, sent_at timestamptz, delivered_at timestamptz,
  twilio_sid text, twilio_status text, twilio_error_code integer, twilio_error_message text,
  attempt_count integer default 0, max_attempts integer default 3, next_retry_at timestamptz,
  queue_job_id uuid references queue_jobs(id) on delete set null, notification_delivery_id uuid, project_id uuid,
  task_id uuid, metadata jsonb default '{}', created_at timestamptz default now(), updated_at timestamptz default now());
create table scheduled_sms_messages (
  id uuid primary key default gen_random_uuid(), user_id uuid references users(id),
  message_content text not null,
  message_type text check (message_type in ('event_reminder', 'event_starting_soon', 'daily_agenda', 'custom')),
  calendar_event_id text, event_title text, event_start timestamptz, event_end timestamptz, event_details jsonb,
  scheduled_for timestamptz not null, timezone text not null,
  status text default 'scheduled' check (status in ('scheduled', 'queued', 'sent', 'delivered', 'failed', 'cancelled')),
  sms_message_id uuid references sms_messages(id), twilio_sid text,
  generated_via text default 'llm' check (generated_via in ('llm', 'template')),
  llm_model text, generation_cost_usd decimal(10, 6),
  send_attempts integer default 0, max_send_attempts integer default 3, last_error text,
  created_at timestamptz default now(), updated_at timestamptz default now(), sent_at timestamptz, cancelled_at timestamptz);
