-- The scheduled texts of preset `buildos`, where the table is missing. Its CHECK has `sending`, which the app writes.
create table if not exists public.scheduled_sms_messages (
  id                  uuid primary key default gen_random_uuid(),
  user_id             uuid,
  message_content     text not null,
  message_type        text check (message_type in ('event_reminder', 'event_starting_soon', 'daily_agenda', 'custom')),
  calendar_event_id   text,
  event_title         text,
  event_start         timestamptz,
  event_end           timestamptz,
  event_details       jsonb,
  scheduled_for       timestamptz not null,
  timezone            text not null,
  status              text default 'scheduled'
                        check (status in ('scheduled', 'queued', 'sending', 'sent', 'delivered', 'failed', 'cancelled')),
  sms_message_id      uuid,
  twilio_sid          text,
  generated_via       text default 'llm' check (generated_via in ('llm', 'template')),
  llm_model           text,
  generation_cost_usd decimal(10, 6),
  send_attempts       int default 0,
  max_send_attempts   int default 3,
  last_error          text,
  created_at          timestamptz default now(),
  updated_at          timestamptz default now(),
  sent_at             timestamptz,
  cancelled_at        timestamptz
)
