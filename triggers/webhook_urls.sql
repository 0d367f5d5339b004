-- Trigger on scheduled_messages for webhooks whose row names no URL: theirs is that of their message type, by the
-- settings that the daemon keeps (PUNCTUAL_WEBHOOK_URLS). Re-runnable; replaced as a whole.
--
-- It is written into the row, so that everybody sees what will be called, and a change of the settings moves nothing
-- that is scheduled. Where there is neither, nothing is written. The settings are read with the owner's rights, because
-- the app's roles have none on schema punctual.

create or replace function punctual.webhook_url() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(btrim(new.to_number, white!()), '') <> '' or restoring!() then
    return new;
  end if;
  new.to_number := (select s.webhook_urls ->> btrim(new.message_type, white!()) from punctual.settings s);
  if new.to_number is null then
    raise exception using errcode = 'PT422',
      message = format('webhook %s has no URL: none in to_number, nor in PUNCTUAL_WEBHOOK_URLS for its message_type', new.id),
      hint = case when coalesce(btrim(new.message_type, white!()), '') = ''
                  then 'Give it in to_number, or give a message_type that PUNCTUAL_WEBHOOK_URLS has a URL for.'
                  else format('Give it in to_number, or set PUNCTUAL_WEBHOOK_URLS for the message_type %s and restart the daemon.',
                              to_json(left(new.message_type, 100)))
             end;
  end if;
  return new;
end
$$;

-- Its definition names no column whose type the app may want to change: Postgres would refuse that.
create or replace trigger zzz_punctual_webhook_url
  before insert or update on public.scheduled_messages for each row
  when (new.status = 'pending' and channel!(new) = 'webhook' and not is_writer!())
  execute function punctual.webhook_url();
