-- Triggers on task_calendar_events: messages follow the event they remind of, in the transaction
-- that changes it. Re-runnable; replaced as a whole.
--
-- They run inside the app's statements and cannot fail: an error becomes a warning. They change rows that are
-- pending, or that an earlier change of the event has cancelled; a locked row is waited for briefly, then left
-- and recorded: the daemon applies the change within seconds (follow_missed, below), and the claim reads the
-- calendar once more. Rows are read as JSON, so that the app may have any columns.

-- Locks the rows of an event that follow it. A claim has its locks for milliseconds, and then the rows are not
-- pending any more; only a transaction of the app's takes longer.
create or replace function punctual.hold_reminders(event text, owner uuid) returns uuid[]
language plpgsql set search_path = '' as $$
begin
  return array(
    select m.id from public.scheduled_messages m
     where m.calendar_event_id = event and m.user_id = owner and m.status = 'pending'
     order by m.id
       for no key update);
exception when lock_not_available or deadlock_detected then
  return array(
    select m.id from public.scheduled_messages m
     where m.calendar_event_id = event and m.user_id = owner and m.status = 'pending'
     order by m.id
       for no key update skip locked);
end
$$;

-- By how much a reminder moves. Zero if one of the times is unknown.
create or replace function punctual.event_shift(own timestamptz, was timestamptz, starts timestamptz) returns interval
language sql immutable set search_path = '' as $$
  -- In microseconds: between the same two dates an interval of days differs from zone to zone.
  select case when isfinite(coalesce(own, was)) and isfinite(starts)
              then extract(epoch from starts - coalesce(own, was)) * interval '1 second'
              else interval '0' end
$$;

-- The fields of an event that appear in the texts that remind of it.
create or replace function punctual.event_vars(event jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object('event_title', event -> 'event_title', 'event_link', event -> 'event_link')
$$;

-- Whether a reminder lacks a change of its event.
create or replace function punctual.is_behind(own timestamptz, starts timestamptz, own_vars jsonb, vars jsonb) returns boolean
language sql immutable set search_path = '' as $$
  select own is distinct from coalesce(starts, own)
         or coalesce(jsonb_typeof(own_vars) = 'object' and not own_vars @> vars, false)
$$;

-- Notes for `punctual why` which messages did not follow, and records them for `follow_missed`: those that were
-- locked, and those that are being sent or were sent, and may be put back for a retry. `starts` is when the
-- event begins now, `was` when it began before; null: unknown.
create or replace function punctual.note_reminders(event text, owner uuid, gone boolean, moved boolean,
                                                   starts timestamptz, was timestamptz, vars jsonb) returns void
language sql set search_path = '' as $$
  with missed as (
    select m.id, m.status
      from public.scheduled_messages m
     where m.calendar_event_id = event and m.user_id = owner
       and (m.status = 'pending' and (gone or punctual.is_behind(m.event_start, starts, m.template_vars, vars))
            or (gone or moved)
               and (attempted!(m)
                    or m.status in ('sent', 'delivered') and coalesce(m.event_start, was) > clock_timestamp()))
  ), noted as (
    -- Each only once: some calendars are synced every few minutes.
    insert into punctual.notes (message_id, note)
    select m.id, n.note
      from missed m
     cross join lateral (
       select 'the calendar event was ' || case when gone then 'deleted' when moved then 'moved' else 'changed' end
              || case m.status
                   when 'pending' then '; another transaction held the message, so it did not follow yet'
                   when 'sending' then '; too late, it was being sent'
                   else '; too late, it had been sent' end as note) n
     where not exists (select from punctual.notes o where o.message_id = m.id and o.note = n.note)
  )
  -- The first move that was missed is what the message is to be moved from. A pending message may be following
  -- an earlier one at this moment: it is added without a check.
  insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id, start_before)
  select m.id, event, owner, was
    from missed m
   where m.status = 'pending'
      or m.status <> 'delivered' and not exists (select from punctual.missed_event_changes u where u.message_id = m.id)
$$;

-- Cancels these messages, which are locked, with their event.
create or replace function punctual.cancel_reminders(ids uuid[], was timestamptz) returns void
language sql set search_path = '' as $$
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = 'Calendar event deleted', updated_at = clock_timestamp(),
         -- If the event comes back at another time, the message knows its old start.
         event_start = coalesce(m.event_start, was)
   where m.id = any (ids) and is_pending!(m)
$$;

-- Moves these messages, which are locked, with their event. The row's own `event_start` has precedence over
-- `was`, so that repeats do not add up.
create or replace function punctual.move_reminders(ids uuid[], starts timestamptz, was timestamptz, vars jsonb) returns void
language sql set search_path = '' as $$
  update public.scheduled_messages m
     set updated_at = clock_timestamp(),
         scheduled_at = m.scheduled_at + punctual.event_shift(m.event_start, was, starts),
         event_start = coalesce(starts, m.event_start),
         template_vars = case when jsonb_typeof(m.template_vars) = 'object'
                              then m.template_vars || vars else m.template_vars end
   where m.id = any (ids) and is_pending!(m)
     and punctual.is_behind(m.event_start, starts, m.template_vars, vars)
$$;

-- `was` is when it would have begun; null: unknown.
create or replace function punctual.event_gone(event text, owner uuid, was timestamptz) returns void
language plpgsql set search_path = '' as $$
begin
  -- The same event may exist a second time.
  if exists (select from punctual.facts_of(array[owner], array[owner], array[owner], array[event]) f
              where (f.facts).event_is_there and not (f.facts).event_is_cancelled) then
    return;
  end if;
  perform punctual.cancel_reminders(punctual.hold_reminders(event, owner), was);
  insert into punctual.deleted_events (calendar_event_id, user_id)
  select event, owner
   where exists (select from public.scheduled_messages m
                  where m.calendar_event_id = event and m.user_id = owner
                    and (under_way!(m)
                         -- It may turn out not to have arrived, and be retried.
                         or m.status = 'sent' and coalesce(m.event_start, was) > clock_timestamp()))
  on conflict do nothing;
  perform punctual.note_reminders(event, owner, true, false, null, was, null);
end
$$;

-- Sets back to pending what an earlier change of the event has cancelled, if its time will be in the future.
-- Not what the guard would refuse; and of several with one `dedup_key`, or with another that is active, the one
-- cancelled last, or none.
create or replace function punctual.revive_reminders(event text, owner uuid, starts timestamptz, was timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  wanted uuid;
begin
  for wanted in
    with held as materialized (
      select m.id, m.cancelled_at
        from public.scheduled_messages m
       where m.calendar_event_id = event and m.user_id = owner and m.status = 'cancelled'
         and m.cancel_reason = 'Calendar event deleted'
         and m.scheduled_at + punctual.event_shift(m.event_start, was, starts) > clock_timestamp()
         and not exists (select from punctual.attempts a
                          where a.message_id = m.id
                            and unsettled!(a))
       order by m.id
         for no key update skip locked
    )
    select h.id from held h order by h.cancelled_at desc, h.id
  loop
    begin
      update public.scheduled_messages m set status = 'pending' where m.id = wanted and m.status = 'cancelled';
    exception when unique_violation or lock_not_available then
      insert into punctual.notes (message_id, note)
      select wanted, n.note
        from (values ('the calendar event is there again; another message with the same dedup_key is under way, '
                      'so this one stays cancelled')) as n (note)
       where not exists (select from punctual.notes o where o.message_id = wanted and o.note = n.note);
    end;
  end loop;
end
$$;

-- The event exists, and begins at `starts`. `was` is when it began before this change.
create or replace function punctual.event_is(event text, owner uuid, starts timestamptz, was timestamptz,
                                             vars jsonb, revive boolean) returns void
language plpgsql set search_path = '' as $$
begin
  delete from punctual.deleted_events g where g.calendar_event_id = event and g.user_id = owner;
  if revive then
    perform punctual.revive_reminders(event, owner, starts, was);
  end if;
  perform punctual.move_reminders(punctual.hold_reminders(event, owner), starts, was, vars);
  perform punctual.note_reminders(event, owner, false, not revive and starts is distinct from was, starts, was, vars);
end
$$;

create or replace function punctual.follow_event() returns trigger
language plpgsql security definer set search_path = '' set lock_timeout = '100ms' as $$
declare
  before jsonb;
  after jsonb;
  uuid_like constant text := '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$';
  was timestamptz;
  starts timestamptz;
  was_there boolean := false;
  is_there boolean := false;
  -- Whether it is still the event of that name and user.
  same boolean := false;
begin
  -- The messages are restored in the state in which they had followed it.
  if restoring!() then
    return null;
  end if;
  if tg_op <> 'INSERT' then
    before := to_jsonb(old);
    was := punctual.as_instant(before ->> 'event_start');
    was_there := before ->> 'sync_status' is distinct from 'cancelled';
  end if;
  if tg_op <> 'DELETE' then
    after := to_jsonb(new);
    starts := punctual.as_instant(after ->> 'event_start');
    is_there := after ->> 'sync_status' is distinct from 'cancelled';
  end if;
  if tg_op = 'UPDATE' then
    same := (after ->> 'calendar_event_id', after ->> 'user_id')
            is not distinct from (before ->> 'calendar_event_id', before ->> 'user_id');
  end if;
  if before ->> 'user_id' ~ uuid_like and was_there and not (same and is_there) then
    perform punctual.event_gone(before ->> 'calendar_event_id', (before ->> 'user_id')::uuid, was);
  end if;
  if after ->> 'user_id' !~ uuid_like then
    return null;
  end if;
  if not is_there then
    if tg_op = 'INSERT' then
      perform punctual.event_gone(after ->> 'calendar_event_id', (after ->> 'user_id')::uuid, null);
    end if;
  elsif not (same and was_there)
        or (after ->> 'event_title', after ->> 'event_link', starts)
           is distinct from (before ->> 'event_title', before ->> 'event_link', was)
  then
    perform punctual.event_is(
      after ->> 'calendar_event_id', (after ->> 'user_id')::uuid, starts, was, punctual.event_vars(after),
      not (same and was_there));
  end if;
  return null;
exception when others then
  raise warning 'reminders could not follow a calendar event: SQLSTATE %', sqlstate;
  return null;
end
$$;

-- An event as it is now; null: there is none, or the table lacks the columns.
create or replace function punctual.event_row(event text, owner uuid) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  event_key constant text := punctual.key_type('task_calendar_events', 'calendar_event_id');
  key constant text := punctual.key_type('task_calendar_events', 'user_id');
  it jsonb;
begin
  if key is null or event_key is null then
    return null;
  end if;
  execute format(
    'select to_jsonb(e) from public.task_calendar_events e
      where e.calendar_event_id = $1::%s and e.user_id = $2::%s
      order by to_jsonb(e) ->> ''sync_status'' is not distinct from ''cancelled'', to_jsonb(e) ->> ''event_start''
      limit 1', event_key, key) into it using event, owner;
  return it;
end
$$;

-- Applies missed changes of events: to messages that were locked then, or were being sent and are to be
-- retried. Run by the daemon every few seconds, by one instance at a time for each message; returns how many
-- followed. It writes as the trigger would have, in an app's session: the guard drops a deferral, and all
-- daemons are notified. Messages that are being sent are read again once they are pending.
create or replace function punctual.follow_missed(most int) returns int
language plpgsql security definer set search_path = '' as $$
declare
  writer constant text := current_setting('punctual.writer', true);
  missed record;
  -- All the changes that it has missed; reading the event once applies them all.
  those bigint[];
  event jsonb;
  followed int := 0;
begin
  perform set_config('punctual.writer', '', true);
  for missed in
    select u.id, u.message_id, u.calendar_event_id, u.user_id, u.start_before
      from punctual.missed_event_changes u
      left join public.scheduled_messages m on m.id = u.message_id
     where (m.id is null or m.status not in ('sending', 'unconfirmed', 'sent')
            -- What was sent and is not put back by then will not be.
            or m.status = 'sent' and u.noted_at < clock_timestamp() - interval '3 days')
       -- What an app's own trigger refuses is not retried all the time.
       and coalesce(u.refused_at < clock_timestamp() - interval '1 minute', true)
       -- One for each message, the first: it is moved from there.
       and not exists (select from punctual.missed_event_changes o where o.message_id = u.message_id and o.id < u.id)
     order by u.refused_at nulls first, u.id
     limit most
       for update of u skip locked
  loop
    begin
      perform from public.scheduled_messages m where m.id = missed.message_id and is_pending!(m)
          for no key update skip locked;
      those := array(select u.id from punctual.missed_event_changes u where u.message_id = missed.message_id);
      if found then
        event := punctual.event_row(missed.calendar_event_id, missed.user_id);
        if event ->> 'sync_status' = 'cancelled'
           or event is null and exists (select from punctual.deleted_events g
                                         where g.calendar_event_id = missed.calendar_event_id
                                           and g.user_id = missed.user_id)
        then
          perform punctual.cancel_reminders(array[missed.message_id], missed.start_before);
        elsif event is not null then
          perform punctual.move_reminders(array[missed.message_id], punctual.as_instant(event ->> 'event_start'),
                                          missed.start_before, punctual.event_vars(event));
        end if;
        insert into punctual.notes (message_id, note) values (missed.message_id, 'it has followed its calendar event');
        followed := followed + 1;
      elsif exists (select from public.scheduled_messages m
                     where m.id = missed.message_id and under_way!(m))
      then
        -- Locked, or just claimed: the next time.
        continue;
      end if;
      delete from punctual.missed_event_changes u where u.id = any (those);
    exception when others then
      raise warning 'message % could not follow its calendar event yet: SQLSTATE %', missed.message_id, sqlstate;
      update punctual.missed_event_changes u set refused_at = clock_timestamp() where u.id = missed.id;
    end;
  end loop;
  perform set_config('punctual.writer', coalesce(writer, ''), true);
  return followed;
end
$$;

revoke execute on function punctual.hold_reminders(text, uuid),
                           punctual.note_reminders(text, uuid, boolean, boolean, timestamptz, timestamptz, jsonb),
                           punctual.cancel_reminders(uuid[], timestamptz),
                           punctual.move_reminders(uuid[], timestamptz, timestamptz, jsonb),
                           punctual.event_gone(text, uuid, timestamptz),
                           punctual.revive_reminders(text, uuid, timestamptz, timestamptz),
                           punctual.event_is(text, uuid, timestamptz, timestamptz, jsonb, boolean),
                           punctual.event_row(text, uuid), punctual.follow_missed(int)
  from public;

-- Only if the table is the migrator's.
do $$
begin
  if exists (select from pg_catalog.pg_class c
              where c.oid = to_regclass('public.task_calendar_events') and c.relkind in ('r', 'p')
                and pg_catalog.pg_has_role(c.relowner, 'usage'))
  then
    create or replace trigger punctual_follow_event
      after insert or update or delete on public.task_calendar_events
      for each row execute function punctual.follow_event();
  end if;
end
$$;
