-- Brings a schema of the numbering before the baseline to what the baseline's files expect: private names
-- become the baseline's, and its tables get the columns that they lack. Runs in one transaction with those
-- files and the triggers, so no one sees half of it. No row of the app's is touched.

-- It locks more than one of the app's tables. The one with the most writes is waited for without any other
-- lock; the others for no more than half a second, because after one (deadlock_timeout) the app could be the
-- victim of a deadlock.
do $$
begin
  if to_regclass('public.scheduled_messages') is not null then
    lock table public.scheduled_messages in access exclusive mode;
  end if;
  perform set_config('lock_timeout', '500ms', true);
end
$$;

do $$
declare
  rename record;
begin
  -- Its statements do not know the new names; what it has claimed would stay unrecorded.
  if to_regclass('punctual.instances') is not null
     and exists (select from punctual.instances i
                  where i.stopped_at is null and i.heartbeat_at > clock_timestamp() - interval '20 s')
  then
    raise exception using errcode = 'PU002',
      message = 'a daemon of an earlier version is running against this database, and cannot run on the new schema: '
                'stop it, then run `punctual migrate` again (one that crashed counts for 20 s)';
  end if;

  for rename in
    select format('alter table punctual.%I rename %s to %I', c.relname,
                  case when w.col is null then '' else format('column %I', w.col) end, w.name) as statement
      from (values
        ('attempts', 'asked', 'lookups'), ('attempts', 'asked_at', 'looked_up_at'), ('attempts', 'ask_note', 'lookup_note'),
        ('attempts', 'next_ask_at', 'next_lookup_at'), ('attempts', 'sought_to', 'lookup_to'),
        ('attempts', 'sought_from', 'lookup_from'), ('attempts', 'sought_text', 'lookup_text'),
        ('attempts', 'gave_back', 'quota_returned'), ('attempts', 'regained', 'recovered'),
        ('gone_events', 'gone_at', 'deleted_at'), ('gone_events', null, 'deleted_events'),
        ('unfollowed', 'was', 'start_before'), ('unfollowed', null, 'missed_event_changes')
      ) as w (tab, col, name)
      join pg_catalog.pg_class c on c.oid = to_regclass('punctual.' || w.tab)
     where w.col is null
        or exists (select from pg_catalog.pg_attribute a
                    where a.attrelid = c.oid and a.attname = w.col and not a.attisdropped)
     -- Columns first, under the table's old name.
     order by w.col is null
  loop
    execute rename.statement;
  end loop;
  -- Indexes, and keys and counters named after their tables.
  for rename in
    select format('alter index punctual.%I rename to %I', w.old, w.name) as statement
      from (values
        ('attempts_next_ask_idx', 'attempts_next_lookup_idx'), ('attempts_sought_idx', 'attempts_lookup_text_idx'),
        ('gone_events_pkey', 'deleted_events_pkey'), ('unfollowed_pkey', 'missed_event_changes_pkey'),
        ('unfollowed_message_idx', 'missed_event_changes_message_idx')
      ) as w (old, name)
     where to_regclass('punctual.' || w.old) is not null
  loop
    execute rename.statement;
  end loop;
  alter sequence if exists punctual.unfollowed_id_seq rename to missed_event_changes_id_seq;

  if to_regclass('punctual.attempts') is not null then
    drop trigger if exists punctual_place_back on punctual.attempts;
    alter table punctual.attempts
      add column if not exists receipt_status text,
      add column if not exists message_status text,
      add column if not exists lookups        int not null default 0,
      add column if not exists looked_up_at   timestamptz,
      add column if not exists lookup_note    text,
      add column if not exists next_lookup_at timestamptz,
      add column if not exists lookup_to      text,
      add column if not exists lookup_from    text,
      add column if not exists lookup_text    bytea,
      add column if not exists settled_by     text,
      add column if not exists settled_at     timestamptz,
      add column if not exists user_id        uuid,
      add column if not exists day            date,
      add column if not exists quota_returned boolean not null default false,
      add column if not exists body           text,
      add column if not exists recovered      boolean not null default false,
      drop constraint if exists attempts_outcome_check,
      add constraint attempts_outcome_check
        check (outcome in ('accepted', 'refused', 'throttled', 'unsent', 'unknown', 'rejected', 'cancelled',
                           'returned', 'deferred'));
    -- What became uncertain before there were look-ups.
    update punctual.attempts a
       set next_lookup_at = clock_timestamp(), lookup_to = btrim(m.to_number, white!()),
           lookup_from = nullif(btrim(m.from_number, white!()), ''),
           lookup_text = text_key!(m)
      from public.scheduled_messages m
     where m.status = 'unconfirmed' and a.message_id = m.id and a.outcome = 'unknown' and a.lookup_text is null
       and a.settled_by is null;
  end if;

  if to_regclass('punctual.missed_event_changes') is not null
     and not exists (select from pg_catalog.pg_attribute a
                      where a.attrelid = to_regclass('punctual.missed_event_changes') and a.attname = 'id'
                        and not a.attisdropped)
  then
    alter table punctual.missed_event_changes
      drop constraint missed_event_changes_pkey,
      add column id bigint generated always as identity primary key;
  end if;

  alter table if exists punctual.migrations add column if not exists oldest_program int not null default 0;
  alter table if exists punctual.triggers add column if not exists program int not null default 0;
  if to_regclass('punctual.migrations') is not null then
    delete from punctual.migrations where version < 20261128000000;
  end if;
end
$$;

do $$
begin
  -- Each claim wrote to it twice; another index replaces it.
  if pg_catalog.pg_has_role((select c.relowner from pg_catalog.pg_class c
                              where c.oid = to_regclass('public.scheduled_messages')), 'usage')
  then
    drop index if exists public.scheduled_messages_user_idx;
  end if;
  -- One of that name may be the app's own: Punctual's, of any version, contains this line.
  if exists (select from pg_catalog.pg_proc p
              where p.oid = to_regprocedure('public.get_user_sms_channel_info(uuid)')
                and p.prosrc like '%coalesce(p.phone_number, '''') ~ ''\\S''%from public.user_sms_preferences p%'
                and pg_catalog.pg_has_role(p.proowner, 'usage'))
  then
    comment on function public.get_user_sms_channel_info(uuid) is 'made by Punctual';
  end if;
end
$$;

drop function if exists punctual.place_back();
drop function if exists punctual.note_reminders(text, uuid, timestamptz, text);
