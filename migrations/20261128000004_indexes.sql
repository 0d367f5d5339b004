-- What reads whole tables, in a transaction of its own: VALIDATE keeps no writer out, but the lock of
-- the ALTER TABLE that added the CHECKs would. And every index that no key makes.

do $$
declare
  parts text;
begin
  select string_agg(format('validate constraint %I', c.conname), ', ') into parts
    from pg_catalog.pg_constraint c
   where c.conrelid = 'public.scheduled_messages'::regclass and c.contype = 'c'
     and not c.convalidated and c.conname like 'scheduled\_messages\_%\_punctual';
  if parts is not null then
    execute 'alter table public.scheduled_messages ' || parts;
  end if;
end
$$;

-- Of what is upcoming, by its due time, and what is looked up for every message or when an event or
-- a user's wishes change; and that no two messages of one key are under way. Writers wait while an
-- index is built here, so only on tables where that is over in a moment: on larger ones
-- `punctual migrate` builds the same list CONCURRENTLY, which no migration can. Where there are two
-- of one key already, the app goes on as it did; `punctual doctor` says so.
do $$
declare
  wanted record;
  large boolean;
begin
  for wanted in
    select w.tab, w.name, w.rest
      -- With a column to look up by, only where the table has it, and no index for it.
      from (values
        ('scheduled_messages', 'scheduled_messages_due_idx', null,
         '((greatest(scheduled_at, deferred_until, next_attempt_at))) where status = ''pending'''),
        ('scheduled_messages', 'scheduled_messages_open_idx', null,
         '(status) where status in (''sending'', ''unconfirmed'')'),
        ('scheduled_messages', 'scheduled_messages_event_idx', null,
         '(calendar_event_id, user_id) where calendar_event_id is not null'),
        ('scheduled_messages', 'scheduled_messages_send_before_idx', null,
         '(send_before) where send_before is not null and status = ''pending'''),
        ('scheduled_messages', 'scheduled_messages_user_pending_idx', null,
         '(user_id) where user_id is not null and status = ''pending'''),
        ('scheduled_messages', 'scheduled_messages_number_idx', null,
         '(btrim(to_number)) where status = ''pending'''),
        ('scheduled_messages', 'scheduled_messages_dedup_key', null,
         '(dedup_key) where dedup_key is not null and status in (''pending'', ''sending'', ''unconfirmed'')'),
        ('conversations', 'conversations_phone_number_idx', 'phone_number', '(phone_number)'),
        ('contacts', 'contacts_phone_number_idx', 'phone_number', '(phone_number)'),
        ('messages', 'messages_twilio_sid_idx', 'twilio_sid', '(twilio_sid)')
      ) as w (tab, name, lookup, rest)
      -- Another's table, or one of another shape, is left alone.
      join pg_catalog.pg_class c
        on c.oid = to_regclass('public.' || w.tab) and c.relkind = 'r'
       and pg_catalog.pg_has_role(c.relowner, 'usage')
     where to_regclass('public.' || w.name) is null
       and (w.lookup is null
            or exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = c.oid and a.attname = w.lookup and not a.attisdropped
                          and not exists (select from pg_catalog.pg_index i
                                           where i.indrelid = c.oid and i.indisvalid and i.indpred is null
                                             and i.indkey[0] = a.attnum)))
  loop
    execute format('select count(*) = 100000 from (select from public.%I limit 100000) few', wanted.tab) into large;
    continue when large;
    begin
      execute format('create %s %I on public.%I %s',
                     case when wanted.name like '%\_key' then 'unique index' else 'index' end,
                     wanted.name, wanted.tab, wanted.rest);
    exception when unique_violation then
      raise notice 'some messages under way share a dedup_key: it is not held to be unique';
    end;
  end loop;
end
$$;

create unique index if not exists attempts_provider_sid_key
  on punctual.attempts (provider_sid) where provider_sid is not null;
-- Claims nobody has settled yet, by the end of their lease.
create index if not exists attempts_open_idx
  on punctual.attempts (lease_until) where outcome is null;
create index if not exists attempts_next_lookup_idx
  on punctual.attempts (outcome, next_lookup_at) where next_lookup_at is not null;
create index if not exists attempts_lookup_text_idx
  on punctual.attempts (lookup_text) where lookup_text is not null;
create index if not exists receipts_message_idx on punctual.receipts (message_id);
create index if not exists receipts_provider_sid_idx on punctual.receipts (provider_sid);
create index if not exists outbox_next_attempt_idx on punctual.outbox (next_attempt_at);
create index if not exists outbox_message_idx on punctual.outbox (message_id);
-- Who runs. A heartbeat writes nothing here.
create index if not exists instances_running_idx on punctual.instances (id) where stopped_at is null;
create unique index if not exists suppressions_pair_key
  on punctual.suppressions (their_number, (coalesce(our_number, '')));
create index if not exists notes_message_idx on punctual.notes (message_id);
create index if not exists missed_event_changes_message_idx on punctual.missed_event_changes (message_id);
