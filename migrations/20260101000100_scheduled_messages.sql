-- What Punctual adds to scheduled_messages. Every column is nullable or has a constant default,
-- and every CHECK is NOT VALID, so no row is read or rewritten while the table is locked, and
-- the app's own inserts go on working. A later file, which is a later transaction, validates.

do $$
declare
  -- A column the app already has keeps the app's words: our CHECK would refuse its inserts.
  fresh constant text[] := array(
    select w.col from unnest(array['priority', 'in_doubt', 'max_attempts']) as w (col)
     where not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = 'public.scheduled_messages'::regclass
                          and a.attname = w.col and not a.attisdropped));
  old record;
  passes boolean;
begin
  alter table public.scheduled_messages
    -- The app's, where it lacks them.
    add column if not exists conversation_id   uuid,
    add column if not exists from_number       text,
    add column if not exists template_id       uuid,
    add column if not exists sent_at           timestamptz,
    add column if not exists error_message     text,
    add column if not exists metadata          jsonb not null default '{}',
    add column if not exists updated_at        timestamptz not null default now(),
    -- The user's word.
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

  -- The app's CHECK knows four words, under whatever name; ours knows seven. What a CHECK on
  -- the status alone does with our words is asked of the CHECK itself.
  for old in
    select c.conname, pg_catalog.pg_get_expr(c.conbin, c.conrelid) as expr
      from pg_catalog.pg_constraint c
      join pg_catalog.pg_attribute a
        on a.attrelid = c.conrelid and a.attname = 'status' and c.conkey = array[a.attnum]
     where c.conrelid = 'public.scheduled_messages'::regclass
       and c.contype = 'c' and c.conname not like '%\_punctual'
  loop
    execute format('select bool_and(coalesce(%s, true)) from unnest(array[''sending'', ''delivered'', ''unconfirmed'']) as ours (status)',
                   old.expr) into passes;
    if not passes then
      execute format('alter table public.scheduled_messages drop constraint %I', old.conname);
    end if;
  end loop;

  if not exists (select from pg_catalog.pg_constraint c
                  where c.conrelid = 'public.scheduled_messages'::regclass
                    and c.conname = 'scheduled_messages_status_punctual') then
    alter table public.scheduled_messages add constraint scheduled_messages_status_punctual
      check (status in ('pending', 'sending', 'sent', 'delivered', 'failed', 'cancelled', 'unconfirmed'))
      not valid;
  end if;
  if 'priority' = any (fresh) then
    alter table public.scheduled_messages add constraint scheduled_messages_priority_punctual
      check (priority in ('low', 'normal', 'high', 'urgent')) not valid;
  end if;
  if 'in_doubt' = any (fresh) then
    alter table public.scheduled_messages add constraint scheduled_messages_in_doubt_punctual
      check (in_doubt in ('hold', 'resend_if_absent', 'resend')) not valid;
  end if;
  if 'max_attempts' = any (fresh) then
    alter table public.scheduled_messages add constraint scheduled_messages_max_attempts_punctual
      check (max_attempts between 1 and 100) not valid;
  end if;
end
$$;
