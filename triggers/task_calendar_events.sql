-- Triggers on task_calendar_events: messages follow the event they remind of, in the transaction
-- that changes it. Re-runnable; replaced as a whole.
--
-- They run inside the app's statements and cannot fail: what goes wrong is a warning. They touch
-- rows that are pending, or that an earlier change of the event has cancelled; a row that somebody
-- holds is waited for a moment, then left, and the claim asks the calendar once more. Rows are read
-- as JSON, so that it is the app's business which columns there are.

-- The rows of an event that follow it. A claim holds its rows for milliseconds, and then they
-- are not pending any more; longer only a transaction of the app's does.
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

-- Told by `punctual why` of what did not follow. `starts` is when the event begins now; null: it
-- is gone.
create or replace function punctual.note_reminders(event text, owner uuid, starts timestamptz, what text) returns void
language sql set search_path = '' as $$
  insert into punctual.notes (message_id, note)
  select m.id, what || case m.status
                when 'pending' then '; another transaction held the message, so it did not follow'
                when 'sending' then '; too late, it was being sent'
                else '; too late, it had been sent' end
    from public.scheduled_messages m
   where m.calendar_event_id = event and m.user_id = owner
     and (m.status = 'pending' and (starts is null or m.event_start is distinct from starts)
          or m.status in ('sending', 'unconfirmed')
          or m.status in ('sent', 'delivered') and m.event_start > clock_timestamp())
$$;

-- `was` is when it would have begun; null: that is not known.
create or replace function punctual.event_gone(event text, owner uuid, was timestamptz) returns void
language plpgsql set search_path = '' as $$
declare
  ids uuid[];
begin
  -- The same event may be there once more.
  if exists (select from punctual.facts_of(array[owner], array[owner], array[owner], array[event]) f
              where (f.facts).event_is_there and not (f.facts).event_is_cancelled) then
    return;
  end if;
  ids := punctual.hold_reminders(event, owner);
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = 'Calendar event deleted', updated_at = clock_timestamp(),
         -- Should it come again at another time, the message knows from where to count.
         event_start = coalesce(m.event_start, was)
   where m.id = any (ids) and m.status = 'pending';
  insert into punctual.gone_events (calendar_event_id, user_id)
  select event, owner
   where exists (select from public.scheduled_messages m
                  where m.calendar_event_id = event and m.user_id = owner
                    and m.status in ('pending', 'sending', 'unconfirmed'))
  on conflict do nothing;
  perform punctual.note_reminders(event, owner, null, 'the calendar event was deleted');
end
$$;

-- The event is there, and begins at `starts`. `was` is when it began before this change; the
-- row's own `event_start` comes first, so that repeats do not add up.
create or replace function punctual.event_is(event text, owner uuid, starts timestamptz, was timestamptz,
                                             vars jsonb, revive boolean) returns void
language plpgsql set search_path = '' as $$
declare
  ids uuid[];
begin
  delete from punctual.gone_events g where g.calendar_event_id = event and g.user_id = owner;
  if revive then
    ids := array(
      select m.id from public.scheduled_messages m
       where m.calendar_event_id = event and m.user_id = owner and m.status = 'cancelled'
         and m.cancel_reason = 'Calendar event deleted'
         and m.scheduled_at + punctual.event_shift(m.event_start, was, starts) > clock_timestamp()
         -- What the guard, or the key, would refuse.
         and not exists (select from punctual.attempts a
                          where a.message_id = m.id and (a.outcome is null or a.outcome = 'unknown'))
         and not exists (select from public.scheduled_messages o
                          where o.dedup_key = m.dedup_key and o.id <> m.id
                            and o.status in ('pending', 'sending', 'unconfirmed'))
       order by m.id
         for no key update skip locked);
    update public.scheduled_messages m
       set status = 'pending'
     where m.id = any (ids) and m.status = 'cancelled';
  end if;
  ids := punctual.hold_reminders(event, owner);
  update public.scheduled_messages m
     set updated_at = clock_timestamp(),
         scheduled_at = m.scheduled_at + punctual.event_shift(m.event_start, was, starts),
         event_start = coalesce(starts, m.event_start),
         template_vars = case when jsonb_typeof(m.template_vars) = 'object'
                              then m.template_vars || vars else m.template_vars end
   where m.id = any (ids) and m.status = 'pending'
     and (m.event_start is distinct from coalesce(starts, m.event_start)
          or jsonb_typeof(m.template_vars) = 'object' and not m.template_vars @> vars);
end
$$;

-- By how much a reminder moves. Nothing where one of the times is not known.
create or replace function punctual.event_shift(own timestamptz, was timestamptz, starts timestamptz) returns interval
language sql immutable set search_path = '' as $$
  -- In microseconds: between the same two dates an interval of days differs from zone to zone.
  select case when isfinite(coalesce(own, was)) and isfinite(starts)
              then extract(epoch from starts - coalesce(own, was)) * interval '1 second'
              else interval '0' end
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
      after ->> 'calendar_event_id', (after ->> 'user_id')::uuid, starts, was,
      jsonb_build_object('event_title', after -> 'event_title', 'event_link', after -> 'event_link'),
      not (same and was_there));
    if starts is distinct from was and same and was_there then
      perform punctual.note_reminders(after ->> 'calendar_event_id', (after ->> 'user_id')::uuid, starts,
                                      'the calendar event was moved');
    end if;
  end if;
  return null;
exception when others then
  raise warning 'reminders could not follow a calendar event: % (%)', sqlerrm, sqlstate;
  return null;
end
$$;

revoke execute on function punctual.hold_reminders(text, uuid), punctual.note_reminders(text, uuid, timestamptz, text),
                           punctual.event_gone(text, uuid, timestamptz),
                           punctual.event_is(text, uuid, timestamptz, timestamptz, jsonb, boolean)
  from public;

-- Where the table is ours to watch.
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
