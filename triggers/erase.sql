-- Blanks a message's text and recipient, for people who have a right to that. Re-runnable; replaced as a whole.
--
-- Called by hand or by a function of the app's, with the caller's rights and search_path: the app's own
-- triggers run in it as in any of its statements.

-- Of a message that has ended: recipient, subject, text, media, variables, user and `dedup_key` of its row, and the
-- same in the ledger, in the history of its changes and in what waits for the app's tables; what its user was shown
-- in the app is deleted, and so is the row of its campaign. That it was sent, when, and by which sid remains.
-- Opt-outs remain too, because they must be obeyed. The message may have been deleted already.
create or replace function punctual.erase(id uuid) returns void
language plpgsql as $$
#variable_conflict use_column
declare
  message constant uuid := erase.id;
  writer constant text := current_setting('punctual.writer', true);
  its_status text;
begin
  -- Row before attempt, as everywhere.
  select m.status into its_status from public.scheduled_messages m where m.id = message for no key update;
  if its_status in ('pending', 'sending', 'unconfirmed') then
    raise exception using errcode = 'PT409',
      message = format('message %s is %s; it can be erased once it has ended', message, its_status),
      hint = case its_status
               when 'pending' then 'Cancel it first.'
               when 'sending' then 'It is being sent this moment.'
             else 'Whether it was sent is not known; settle it with: punctual resolve ' || message
             end;
  end if;
  perform from punctual.attempts a where a.message_id = message order by a.token for no key update;
  if exists (select from punctual.attempts a
              where a.message_id = message
                and unsettled!(a))
  then
    raise exception using errcode = 'PT409',
      message = format('message %s has an attempt whose outcome is not known; it can be erased once that is settled',
                       message),
      hint = 'Settle it with: punctual resolve ' || message;
  end if;
  if its_status = 'sent'
     and exists (select from punctual.attempts a
                  where a.message_id = message and a.outcome = 'accepted' and a.next_lookup_at is not null)
  then
    raise exception using errcode = 'PT409',
      message = format('message %s may not have arrived yet and be tried again; it can be erased once its delivery '
                       'is known', message),
      hint = 'Without a final status that is a day after it was sent.';
  end if;

  perform set_config('punctual.writer', 'on', true);
  -- What is reported undelivered after that is not retried: no attempt is left.
  update public.scheduled_messages m
     set to_number = '', subject = null, body = '', media_urls = null, template_vars = null, dedup_key = null,
         user_id = null,
         max_attempts = greatest(m.attempts, 1), updated_at = clock_timestamp()
   where m.id = message;
  perform set_config('punctual.writer', coalesce(writer, ''), true);
  update punctual.attempts a
     set body = null, texts = null, lookup_to = null, lookup_text = null, next_lookup_at = null, user_id = null, day = null
   where a.message_id = message;
  update punctual.outbox o
     set write = case when o.write ? 'body' then o.write || '{"to": "", "body": ""}' else o.write end, app_error = null
   where o.message_id = message;
  update punctual.history h
     set old = h.old - personal_columns!(), new = h.new - personal_columns!()
   where h.message_id = message;
  delete from punctual.missed_event_changes u where u.message_id = message;
  delete from punctual.drafts d where d.message_id = message;
  delete from punctual.bursts b where b.message_id = message;
  delete from punctual_api.in_app_messages i where i.message_id = message;
  delete from punctual.campaign_messages c where c.message_id = message;
end
$$;

revoke execute on function punctual.erase(uuid) from PUBLIC;
