-- Trigger on scheduled_messages for webhooks whose row names no URL: theirs is that of their message type, by the
-- settings that the daemon keeps (PUNCTUAL_WEBHOOK_URLS). Re-runnable; replaced as a whole.
--
-- It is written into the row, so that everybody sees what will be called, and a change of the settings moves nothing
-- that is scheduled. Where there is neither, the row fails when it is written; under PUNCTUAL_VALIDATE = refuse nothing
-- is written. The settings are read with the owner's rights, because the app's roles have none on schema punctual.

create or replace function punctual.webhook_url() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  asked constant boolean := coalesce(current_setting('punctual.validate', true) = 'refuse', false);
  urls jsonb;
  mode text;
  fault text;
  remedy text;
begin
  if channel!(new) <> 'webhook' or coalesce(btrim(new.to_number, white!()), '') <> '' or restoring!() then
    return new;
  end if;
  select s.webhook_urls, s.validate into urls, mode from punctual.settings s;
  new.to_number := urls ->> btrim(new.message_type, white!());
  if new.to_number is null then
    fault := 'it has no URL: none in to_number, nor in PUNCTUAL_WEBHOOK_URLS for its message_type';
    remedy := case when coalesce(btrim(new.message_type, white!()), '') = ''
                   then 'give it in to_number, or give a message_type that PUNCTUAL_WEBHOOK_URLS has a URL for'
                   else format('give it in to_number, or set PUNCTUAL_WEBHOOK_URLS for the message_type %s and restart the daemon',
                               to_json(left(new.message_type, 100)))
              end;
    if asked or mode = 'refuse' then
      raise exception using errcode = 'PT422',
        message = format('message %s cannot be sent: %s', new.id, fault),
        hint = format('Nothing was written: %s.', remedy);
    end if;
    new.to_number := '';
    new.status := 'failed';
    new.error_message := format('%s: %s', fault, remedy);
  end if;
  return new;
end
$$;

-- Its definition names no column whose type the app may want to change: Postgres would refuse that.
create or replace trigger zzz_punctual_webhook_url
  before insert or update on public.scheduled_messages for each row
  when (new.status = 'pending' and not is_writer!())
  execute function punctual.webhook_url();
