-- The record of texts of preset `buildos`, and its types, where they are missing.
do $$
begin
  if to_regtype('public.sms_status') is null then
    create type public.sms_status as enum (
      'pending', 'queued', 'sending', 'sent', 'delivered', 'failed', 'undelivered', 'scheduled', 'cancelled');
  end if;
  if to_regtype('public.sms_priority') is null then
    create type public.sms_priority as enum ('low', 'normal', 'high', 'urgent');
  end if;
  if to_regclass('public.sms_messages') is not null then
    return;
  end if;
  create table public.sms_messages (
    id                       uuid primary key default gen_random_uuid(),
    user_id                  uuid not null,
    phone_number             text not null,
    message_content          text not null,
    template_id              uuid,
    template_vars            jsonb,
    status                   public.sms_status not null default 'pending',
    priority                 public.sms_priority not null default 'normal',
    scheduled_for            timestamptz,
    sent_at                  timestamptz,
    delivered_at             timestamptz,
    twilio_sid               text,
    twilio_status            text,
    twilio_error_code        int,
    twilio_error_message     text,
    attempt_count            int default 0,
    max_attempts             int default 3,
    next_retry_at            timestamptz,
    queue_job_id             uuid,
    notification_delivery_id uuid,
    project_id               uuid,
    task_id                  uuid,
    metadata                 jsonb default '{}',
    created_at               timestamptz default now(),
    updated_at               timestamptz default now()
  );
  create index sms_messages_user_id_status_idx on public.sms_messages (user_id, status);
  create index sms_messages_scheduled_for_idx on public.sms_messages (scheduled_for);
  create index sms_messages_queue_job_id_idx on public.sms_messages (queue_job_id);
end
$$
