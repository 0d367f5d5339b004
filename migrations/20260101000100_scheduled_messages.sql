-- What Punctual adds to scheduled_messages. Every column is nullable or has a constant
-- default, so no row is rewritten and the app's own inserts go on working.

alter table public.scheduled_messages
  add column if not exists user_id           uuid,
  add column if not exists timezone          text,
  add column if not exists channel           text default 'sms',
  add column if not exists message_type      text,
  add column if not exists priority          text default 'normal',
  add column if not exists template_vars     jsonb,
  add column if not exists dedup_key         text,
  add column if not exists send_before       timestamptz,
  add column if not exists in_doubt          text,
  add column if not exists calendar_event_id text,
  add column if not exists event_start       timestamptz,
  add column if not exists campaign_id       uuid,
  add column if not exists max_attempts      int default 3,
  -- Kept by Punctual; what others write here is put back by the guard.
  add column if not exists deferred_until    timestamptz,
  add column if not exists next_attempt_at   timestamptz,
  add column if not exists requeued_at       timestamptz,
  add column if not exists delivered_at      timestamptz,
  add column if not exists cancelled_at      timestamptz,
  add column if not exists deferred_reason   text,
  add column if not exists cancel_reason     text,
  add column if not exists attempts          int not null default 0,
  add column if not exists twilio_sid        text,
  add column if not exists error_code        int,
  add column if not exists version           bigint not null default 0;

-- The app's CHECK knows four words, under whatever name; ours knows seven. NOT VALID and then
-- VALIDATE, so that the scan of the old rows keeps no writer out.
do $$
declare
  old record;
begin
  for old in
    select c.conname
      from pg_catalog.pg_constraint c
      join pg_catalog.pg_attribute a
        on a.attrelid = c.conrelid and a.attname = 'status' and c.conkey = array[a.attnum]
     where c.conrelid = 'public.scheduled_messages'::regclass
       and c.contype = 'c'
       and c.conname <> 'scheduled_messages_status_punctual'
       and pg_catalog.pg_get_constraintdef(c.oid) not like '%unconfirmed%'
  loop
    execute pg_catalog.format('alter table public.scheduled_messages drop constraint %I', old.conname);
  end loop;
  if not exists (select from pg_catalog.pg_constraint
                  where conrelid = 'public.scheduled_messages'::regclass
                    and conname = 'scheduled_messages_status_punctual') then
    alter table public.scheduled_messages add constraint scheduled_messages_status_punctual
      check (status in ('pending', 'sending', 'sent', 'delivered', 'failed', 'cancelled', 'unconfirmed'))
      not valid;
  end if;
  if not exists (select from pg_catalog.pg_constraint
                  where conrelid = 'public.scheduled_messages'::regclass
                    and conname = 'scheduled_messages_choices_punctual') then
    alter table public.scheduled_messages add constraint scheduled_messages_choices_punctual
      check (priority in ('low', 'normal', 'high', 'urgent')
             and in_doubt in ('hold', 'resend_if_absent', 'resend')
             and max_attempts between 1 and 100)
      not valid;
  end if;
end
$$;
alter table public.scheduled_messages validate constraint scheduled_messages_status_punctual;
alter table public.scheduled_messages validate constraint scheduled_messages_choices_punctual;

-- What is upcoming, by its due time. On a large table `punctual migrate` builds these two
-- CONCURRENTLY instead, which cannot be done from inside a migration.
do $$
begin
  if (select count(*) from (select from public.scheduled_messages limit 100000) few) < 100000 then
    create index if not exists scheduled_messages_due_idx on public.scheduled_messages
      ((greatest(scheduled_at, deferred_until, next_attempt_at))) where status = 'pending';
    create index if not exists scheduled_messages_open_idx on public.scheduled_messages
      (status) where status in ('sending', 'unconfirmed');
  end if;
end
$$;
