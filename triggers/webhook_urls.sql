-- Trigger on scheduled_messages for webhooks whose row names no URL (webhook_url in scheduled_messages.sql, which has
-- it too: they change together). Re-runnable; replaced as a whole.
create or replace trigger zzz_punctual_webhook_url
  before insert or update on public.scheduled_messages for each row
  when (new.parts_total < 0)
  execute function punctual.webhook_url();
