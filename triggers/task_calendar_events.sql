-- Triggers on task_calendar_events: messages follow the event they remind of, in the transaction
-- that changes it. Re-runnable; replaced as a whole.
--
-- They run inside the app's statements and cannot fail: an error becomes a warning. They change rows that are
-- pending, or that an earlier change of the event has cancelled, of the channels for which the rule holds
-- (`policy::Rule`). A message that cannot be changed at once is recorded in punctual.missed_event_changes, the daemon
-- changes it within seconds (follow_missed, below), and no claim takes it until then (reserve_quota). There are four
-- reasons:
--
-- - another transaction has locked the row, which is waited for only briefly;
-- - the session has, or has had, temporary objects. Whatever the search_path is, they are found before an error is: a
--   name without a schema in a trigger of the app's would mean the caller's table, whose triggers would have the
--   owner's rights;
-- - a trigger or constraint of the app's on scheduled_messages fails. Here it runs with the rights of this
--   function's owner, so never with the caller's search_path: with that, whoever calls could have its unqualified
--   names mean objects of their own. So it does not find its own tables either. In the daemon's session, which has
--   a search_path of its own and few rights, it does;
-- - the change came by logical replication. In that session the guard and the notifications of scheduled_messages do
--   not fire. A trigger that is enabled for it alone (its name ends in _replicated) runs the same function.
--
-- Rows are read as JSON, so that the app may have any columns.
--
-- Most events are of no message, and cost a look by their key. Functions that are called for each of the others are in
-- plpgsql, which keeps its plans for the session: one in SQL is planned again by each statement that calls it. A column
-- of the app's may have the name of one of their variables.

-- Locks the rows of an event that follow it. A claim has its locks for milliseconds, and then the rows are not
-- pending any more; only a transaction of the app's takes longer.
create or replace function punctual.hold_reminders(event text, owner uuid) returns uuid[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  return array(
    select m.id from public.scheduled_messages m
     where m.calendar_event_id = event and m.user_id = owner and m.status = 'pending' and event_holds!(m)
     order by m.id
       for no key update);
exception when lock_not_available or deadlock_detected then
  return array(
    select m.id from public.scheduled_messages m
     where m.calendar_event_id = event and m.user_id = owner and m.status = 'pending' and event_holds!(m)
     order by m.id
       for no key update skip locked);
end
$$;

-- By how much a reminder moves. Zero if one of the times is unknown.
create or replace function punctual.event_shift(own timestamptz, was timestamptz, starts timestamptz) returns interval
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  -- In microseconds: between the same two dates an interval of days differs from zone to zone.
  return case when isfinite(coalesce(own, was)) and isfinite(starts)
              then extract(epoch from starts - coalesce(own, was)) * interval '1 second'
              else interval '0' end;
end
$$;

-- The fields of an event that appear in the texts that remind of it.
create or replace function punctual.event_vars(event jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  ends constant timestamptz := punctual.as_instant(event ->> 'event_end');
begin
  return jsonb_build_object('event_title', event -> 'event_title', 'event_link', event -> 'event_link')
         -- In one form, whatever the time zone of the session.
         || case when isfinite(ends)
                 then jsonb_build_object('event_end', to_char(ends at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
                 else '{}' end;
end
$$;

-- Whether a reminder lacks a change of its event.
create or replace function punctual.is_behind(own timestamptz, starts timestamptz, own_vars jsonb, vars jsonb) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return own is distinct from coalesce(starts, own)
         or coalesce(jsonb_typeof(own_vars) = 'object' and not own_vars @> vars, false);
end
$$;

-- Whether a cancelled message, due at `due` for an event at `own`, becomes pending again with its event: an earlier
-- change of the event has cancelled it, its time will be in the future, and the guard would not refuse it.
create or replace function punctual.is_revivable(message uuid, status text, reason text, due timestamptz, own timestamptz,
                                                 starts timestamptz, was timestamptz)
returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  if status = 'cancelled' and reason = 'Calendar event deleted'
     and due + punctual.event_shift(own, was, starts) > clock_timestamp()
  then
    return not exists (select from punctual.attempts a where a.message_id = message and unsettled!(a));
  end if;
  return false;
end
$$;

-- Notes for `punctual why` which messages did not follow, and records them for `follow_missed`: those that were
-- locked or could not be changed, and those that are being sent or were sent, and may be put back for a retry.
-- `starts` is when the event begins now, `was` when it began before; null: unknown. `refused`: why they could not be
-- changed; null: they could.
create or replace function punctual.note_reminders(event text, owner uuid, gone boolean, moved boolean, revive boolean,
                                                   starts timestamptz, was timestamptz, vars jsonb, refused text)
returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  with missed as (
    select m.id, m.status
      from public.scheduled_messages m
     where m.calendar_event_id = event and m.user_id = owner and event_holds!(m)
       and (m.status = 'pending'
               and (gone or m.parts_done = 0
                            and punctual.is_behind(m.event_start, starts,
                                                   punctual.text_vars(m.id, m.version, m.template_vars), vars))
            or revive and punctual.is_revivable(m.id, m.status, m.cancel_reason, m.scheduled_at, m.event_start, starts, was)
            or (gone or moved)
               and (attempted!(m)
                    or m.status in ('sent', 'delivered') and coalesce(m.event_start, was) > clock_timestamp()))
  ), noted as (
    -- Each only once: some calendars are synced every few minutes.
    insert into punctual.notes (message_id, note)
    select m.id, n.note
      from missed m
     cross join lateral (
       select 'the calendar event was '
              || case when gone then 'deleted' when revive then 'created again' when moved then 'moved' else 'changed' end
              || case m.status
                   when 'sending' then '; too late, it was being sent'
                   when 'unconfirmed' then '; too late, it had been sent'
                   when 'sent' then '; too late, it had been sent'
                   when 'delivered' then '; too late, it had been sent'
                   else '; ' || coalesce(refused, 'the message was locked by another transaction')
                        || ', so it did not follow yet' end as note) n
     where not exists (select from punctual.notes o where o.message_id = m.id and o.note = n.note)
  )
  -- The first move that was missed is what the message is to be moved from. A pending message may be following
  -- an earlier one at this moment: it is added without a check.
  insert into punctual.missed_event_changes (message_id, calendar_event_id, user_id, start_before)
  select m.id, event, owner, was
    from missed m
   where m.status in ('pending', 'cancelled')
      or m.status <> 'delivered' and not exists (select from punctual.missed_event_changes u where u.message_id = m.id);
end
$$;

-- Why the triggers that have their owner's rights change no message in this session, but record it for the daemon;
-- null: they do.
create or replace function punctual.is_only_recorded() returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return case
           when current_setting('session_replication_role') = 'replica'
             then 'the change came by replication, in a session without the triggers of the table'
           when pg_my_temp_schema() <> 0
             then 'the session that changed it has, or has had, temporary objects, which triggers on the table could '
                  'take for their own'
         end;
end
$$;

create or replace function punctual.refused_by_app(state text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 'a trigger or a constraint on the table refused the change (SQLSTATE ' || state || ')'
$$;

-- Has the daemons change at once what the transaction has recorded in punctual.missed_event_changes. Without it
-- they do so within 5 s.
create or replace function punctual.notify_missed() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if may_notify!() then
    perform pg_notify('punctual', 'missed');
  end if;
end
$$;

-- The next three change scheduled_messages, so the app's own triggers run in them. They have the search_path and
-- the rights of their caller: of follow_event, or of the daemon. Dropped first, because an earlier version allowed
-- them to their owner alone.
drop function if exists punctual.cancel_reminders(uuid[], timestamptz);
drop function if exists punctual.move_reminders(uuid[], timestamptz, timestamptz, jsonb);

-- Cancels these messages, which are locked, with their event.
create function punctual.cancel_reminders(ids uuid[], was timestamptz) returns void
language plpgsql as $$
#variable_conflict use_variable
begin
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = 'Calendar event deleted', updated_at = pg_catalog.clock_timestamp(),
         -- If the event comes back at another time, the message knows its old start. One of which a part has been sent
         -- does not come back.
         event_start = case when m.parts_done = 0 then coalesce(m.event_start, was) else m.event_start end
   where m.id = any (ids) and is_pending!(m);
end
$$;

-- Moves these messages, which are locked, with their event. The row's own `event_start` has precedence over
-- `was`, so that repeats do not add up. The template takes the place of a text that a model wrote (drafts.sql).
create function punctual.move_reminders(ids uuid[], starts timestamptz, was timestamptz, vars jsonb) returns void
language plpgsql as $$
#variable_conflict use_variable
begin
  update public.scheduled_messages m
     set updated_at = pg_catalog.clock_timestamp(),
         scheduled_at = m.scheduled_at + punctual.event_shift(m.event_start, was, starts),
         event_start = coalesce(starts, m.event_start),
         template_vars = case when pg_catalog.jsonb_typeof(punctual.text_vars(m.id, m.version, m.template_vars)) = 'object'
                              then punctual.text_vars(m.id, m.version, m.template_vars) || vars
                              else m.template_vars end
   where m.id = any (ids) and is_pending!(m) and m.parts_done = 0
     and punctual.is_behind(m.event_start, starts, punctual.text_vars(m.id, m.version, m.template_vars), vars);
  perform punctual.renew_drafts(ids);
end
$$;

-- Sets one message, which is locked, back to pending. Of several with one `dedup_key`, or with another that is
-- active, the one that comes first, or none.
create or replace function punctual.revive_reminder(wanted uuid) returns void
language plpgsql as $$
#variable_conflict use_variable
begin
  update public.scheduled_messages m set status = 'pending' where m.id = wanted and m.status = 'cancelled';
exception when unique_violation or lock_not_available then
  insert into punctual.notes (message_id, note)
  select wanted, n.note
    from (values ('the calendar event was created again; another message with the same dedup_key is in progress, '
                  'so this one stays cancelled')) as n (note)
   where not exists (select from punctual.notes o where o.message_id = wanted and o.note = n.note);
end
$$;

-- Sets back to pending what an earlier change of the event has cancelled, the one cancelled last first.
create or replace function punctual.revive_reminders(event text, owner uuid, starts timestamptz, was timestamptz) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  wanted uuid;
begin
  for wanted in
    with held as materialized (
      select m.id, m.cancelled_at
        from public.scheduled_messages m
       where m.calendar_event_id = event and m.user_id = owner and m.status = 'cancelled' and event_holds!(m)
         and punctual.is_revivable(m.id, m.status, m.cancel_reason, m.scheduled_at, m.event_start, starts, was)
       order by m.id
         for no key update skip locked
    )
    select h.id from held h order by h.cancelled_at desc, h.id
  loop
    perform punctual.revive_reminder(wanted);
  end loop;
end
$$;

-- The event was deleted. `was` is when it would have begun; null: unknown. `refused`: why its messages cannot be
-- cancelled here, so that they are only recorded.
create or replace function punctual.event_gone(event text, owner uuid, was timestamptz, refused text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  held uuid[];
begin
  -- The same event may exist a second time.
  if exists (select from punctual.facts_of(array[owner], array[owner], array[owner], array[event]) f
              where (f.facts).event_is_there and not (f.facts).event_is_cancelled) then
    return;
  end if;
  held := punctual.hold_reminders(event, owner);
  if refused is null then
    perform punctual.cancel_reminders(held, was);
  end if;
  insert into punctual.deleted_events (calendar_event_id, user_id)
  select event, owner
   where exists (select from public.scheduled_messages m
                  where m.calendar_event_id = event and m.user_id = owner and event_holds!(m)
                    and (under_way!(m)
                         -- It may turn out not to have arrived, and be retried.
                         or m.status = 'sent' and coalesce(m.event_start, was) > clock_timestamp()))
  on conflict do nothing;
  perform punctual.note_reminders(event, owner, true, false, false, null, was, null, refused);
end
$$;

-- The event exists, and begins at `starts`. `was` is when it began before this change; `refused` as above.
create or replace function punctual.event_is(event text, owner uuid, starts timestamptz, was timestamptz,
                                             vars jsonb, revive boolean, refused text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  held uuid[];
begin
  delete from punctual.deleted_events g where g.calendar_event_id = event and g.user_id = owner;
  if revive and refused is null then
    perform punctual.revive_reminders(event, owner, starts, was);
  end if;
  held := punctual.hold_reminders(event, owner);
  if refused is null then
    perform punctual.move_reminders(held, starts, was, vars);
  end if;
  perform punctual.note_reminders(event, owner, false, not revive and starts is distinct from was, revive, starts, was,
                                  vars, refused);
end
$$;

create or replace function punctual.follow_event() returns trigger
language plpgsql security definer
-- By the key, also where a table was small when the session's plan was made, and planned once. What reads a table all
-- the same is not worth compiling, though these settings make it look expensive.
set search_path = pg_catalog, pg_temp set lock_timeout = '100ms'
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_variable
declare
  before jsonb;
  after jsonb;
  event text;
  owner uuid;
  uuid_like constant text := '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$';
  was timestamptz;
  starts timestamptz;
  was_there boolean := false;
  is_there boolean := false;
  -- Whether it is still the event of that name and user.
  same boolean := false;
  -- What has happened to the event: that of `before` is gone, that of `after` is gone or is there.
  left_it boolean := false;
  gone boolean := false;
  changed boolean := false;
  refused text;
  writer constant text := current_setting('punctual.writer', true);
begin
  -- The messages are restored in the state in which they had followed it.
  if restoring!() then
    return null;
  end if;
  -- At most twice: what could not be changed the first time is only recorded the second.
  for turn in 1..2 loop
    begin
      if turn = 1 then
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
        left_it := before ->> 'user_id' ~ uuid_like and was_there and not (same and is_there);
        gone := after ->> 'user_id' ~ uuid_like and not is_there and tg_op = 'INSERT';
        changed := after ->> 'user_id' ~ uuid_like and is_there
                   and (not (same and was_there)
                        or (after ->> 'event_title', after ->> 'event_link', after ->> 'event_end', starts)
                           is distinct from (before ->> 'event_title', before ->> 'event_link', before ->> 'event_end', was));
        if not (left_it or gone or changed) then
          return null;
        end if;
        if tg_op <> 'UPDATE' or same then
          event := coalesce(after, before) ->> 'calendar_event_id';
          owner := (coalesce(after, before) ->> 'user_id')::uuid;
          if not exists (select from public.scheduled_messages m where m.calendar_event_id = event and m.user_id = owner)
             and not exists (select from punctual.deleted_events g where g.calendar_event_id = event and g.user_id = owner)
          then
            return null;
          end if;
        end if;
        refused := punctual.is_only_recorded();
      end if;
      -- With the owner's rights the caller's setting would have an effect: nobody would be notified.
      perform set_config('punctual.writer', '', true);
      if left_it then
        perform punctual.event_gone(before ->> 'calendar_event_id', (before ->> 'user_id')::uuid, was, refused);
      end if;
      if gone then
        perform punctual.event_gone(after ->> 'calendar_event_id', (after ->> 'user_id')::uuid, null, refused);
      end if;
      if changed then
        perform punctual.event_is(
          after ->> 'calendar_event_id', (after ->> 'user_id')::uuid, starts, was, punctual.event_vars(after),
          not (same and was_there), refused);
      end if;
      perform set_config('punctual.writer', coalesce(writer, ''), true);
      if refused is not null then
        perform punctual.notify_missed();
      end if;
      return null;
    exception when others then
      refused := punctual.refused_by_app(sqlstate);
      raise warning 'reminders % follow a calendar event: SQLSTATE %',
        case turn when 1 then 'will, some seconds later,' else 'could not' end, sqlstate;
    end;
  end loop;
  return null;
end
$$;

-- What a message that missed a change is to be changed by: whether its event was deleted, when it begins and what
-- texts show of it (null: there is no event), and whether its user has opted out. With its owner's rights, so that
-- the daemon's role needs none on these tables.
create or replace function punctual.missed_change(event text, owner uuid, out gone boolean, out starts timestamptz,
                                                  out vars jsonb, out opted_out boolean)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  event_key constant text := punctual.key_type('task_calendar_events', 'calendar_event_id');
  key constant text := punctual.key_type('task_calendar_events', 'user_id');
  it jsonb;
begin
  if event is not null and key is not null and event_key is not null then
    execute format(
      'select to_jsonb(e) from public.task_calendar_events e
        where e.calendar_event_id = $1::%s and e.user_id = $2::%s
        order by to_jsonb(e) ->> ''sync_status'' is not distinct from ''cancelled'', to_jsonb(e) ->> ''event_start''
        limit 1', event_key, key) into it using event, owner;
  end if;
  gone := coalesce(it ->> 'sync_status' = 'cancelled', false)
          or it is null and exists (select from punctual.deleted_events g
                                     where g.calendar_event_id = event and g.user_id = owner);
  if it is not null and not gone then
    starts := punctual.as_instant(it ->> 'event_start');
    vars := punctual.event_vars(it);
  end if;
  opted_out := coalesce((select (f.facts).opted_out
                           from punctual.facts_of(array[owner], array[owner], array[owner], array[event]) f), false);
end
$$;

-- Applies all that one message, which is locked, has missed. The event and the preferences are read once, after the
-- list: what changes from now on is added to it.
create or replace function punctual.follow_missed_of(message uuid, missed bigint[]) returns void
language plpgsql as $$
#variable_conflict use_variable
declare
  cause record;
  it record;
  -- What it has followed, for `punctual why`.
  followed text;
begin
  -- Of each event the first change counts: the message is to be moved from there.
  for cause in
    select u.calendar_event_id as event, u.user_id as owner,
           (pg_catalog.array_agg(u.start_before order by u.id))[1] as start_before
      from punctual.missed_event_changes u
     where u.id = any (missed)
     group by u.calendar_event_id, u.user_id
     order by pg_catalog.min(u.id)
  loop
    -- The app may have given it another user or event since.
    continue when not exists (select from public.scheduled_messages m
                               where m.id = message and m.user_id = cause.owner
                                 and (cause.event is null or m.calendar_event_id = cause.event and event_holds!(m)));
    select * into it from punctual.missed_change(cause.event, cause.owner);
    if it.opted_out then
      update public.scheduled_messages m
         set status = 'cancelled', cancel_reason = 'the recipient has opted out',
             updated_at = pg_catalog.clock_timestamp()
       where m.id = message and is_pending!(m) and opt_out_holds!(m);
      if found then
        followed := 'the opt-out of its user';
        continue;
      end if;
    end if;
    if it.gone then
      perform punctual.cancel_reminders(array[message], cause.start_before);
      followed := coalesce(followed, 'its calendar event');
    elsif it.vars is not null then
      perform punctual.revive_reminder(m.id)
         from public.scheduled_messages m
        where m.id = message and punctual.is_revivable(m.id, m.status, m.cancel_reason, m.scheduled_at, m.event_start,
                                                       it.starts, cause.start_before);
      perform punctual.move_reminders(array[message], it.starts, cause.start_before, it.vars);
      followed := coalesce(followed, 'its calendar event');
    end if;
  end loop;
  insert into punctual.notes (message_id, note)
  select message, 'it has followed ' || followed where followed is not null;
end
$$;

-- Applies what messages have missed: those that were locked then, or were being sent and are to be retried, and
-- those on which a trigger of the app's failed. Run by the daemon every few seconds, by one instance at a time for
-- each message; returns how many followed. It writes as the trigger would have, in an app's session: the guard
-- drops a deferral, and all daemons are notified. The search_path is that of the daemon's session, in which the
-- app's triggers find their tables. Messages that are being sent are read again once they are pending.
create or replace function punctual.follow_missed(most int) returns int
language plpgsql as $$
#variable_conflict use_variable
declare
  writer constant text := pg_catalog.current_setting('punctual.writer', true);
  -- Of each message that is looked at the first change that it has missed.
  chosen bigint[];
  missed record;
  -- All the changes that it has missed.
  those bigint[];
  followed int := 0;
begin
  perform pg_catalog.set_config('punctual.writer', '', true);
  -- By the key, so that a long list is not read for a few of it.
  chosen := array(
    select u.id
      from punctual.missed_event_changes u
      left join public.scheduled_messages m on m.id = u.message_id
     where u.refused_at is null and can_follow!(u)
     order by u.id
     limit most
       for update of u skip locked);
  -- What an app's own trigger refuses is not retried all the time.
  if pg_catalog.cardinality(chosen) < most then
    chosen := chosen || array(
      select u.id
        from punctual.missed_event_changes u
        left join public.scheduled_messages m on m.id = u.message_id
       where u.refused_at < pg_catalog.clock_timestamp() - interval '1 minute' and can_follow!(u)
       order by u.refused_at, u.id
       limit most - pg_catalog.cardinality(chosen)
         for update of u skip locked);
  end if;
  for missed in
    select u.id, u.message_id
      from punctual.missed_event_changes u
     where u.id = any (chosen)
     order by u.refused_at nulls first, u.id
  loop
    begin
      perform from public.scheduled_messages m
        where m.id = missed.message_id
          and (is_pending!(m) or m.status || '' = 'cancelled' and m.cancel_reason = 'Calendar event deleted')
          for no key update skip locked;
      those := array(select u.id from punctual.missed_event_changes u where u.message_id = missed.message_id);
      if found then
        perform punctual.follow_missed_of(missed.message_id, those);
        followed := followed + 1;
      elsif exists (select from public.scheduled_messages m
                     where m.id = missed.message_id and (under_way!(m)
                            or m.status = 'cancelled' and m.cancel_reason = 'Calendar event deleted'))
      then
        -- Locked, or just claimed: the next time.
        continue;
      end if;
      delete from punctual.missed_event_changes u where u.id = any (those);
    exception when others then
      raise warning 'message % could not be changed as its event or an opt-out requires: SQLSTATE %', missed.message_id, sqlstate;
      update punctual.missed_event_changes u set refused_at = pg_catalog.clock_timestamp() where u.id = missed.id;
    end;
  end loop;
  perform pg_catalog.set_config('punctual.writer', coalesce(writer, ''), true);
  return followed;
end
$$;

-- From an earlier version, with other arguments.
drop function if exists punctual.note_reminders(text, uuid, boolean, boolean, timestamptz, timestamptz, jsonb);
drop function if exists punctual.event_gone(text, uuid, timestamptz);
drop function if exists punctual.event_is(text, uuid, timestamptz, timestamptz, jsonb, boolean);
drop function if exists punctual.event_row(text, uuid);

-- What reads with its owner's rights, or only follow_event calls. The others do nothing that their caller may not.
revoke execute on function punctual.hold_reminders(text, uuid),
                           punctual.note_reminders(text, uuid, boolean, boolean, boolean, timestamptz, timestamptz, jsonb, text),
                           punctual.event_gone(text, uuid, timestamptz, text),
                           punctual.revive_reminders(text, uuid, timestamptz, timestamptz),
                           punctual.event_is(text, uuid, timestamptz, timestamptz, jsonb, boolean, text),
                           punctual.missed_change(text, uuid), punctual.follow_missed(int)
  from PUBLIC;

-- What a role that may call follow_missed needs for it, if an earlier version granted it that.
call punctual.grant_with('punctual.follow_missed(int)', 'punctual.missed_change(text, uuid)');
call punctual.grant_with('punctual.follow_missed(int)', 'punctual.event_for_text(text, uuid)');
call punctual.grant_with('punctual.follow_missed(int)', 'punctual.renew_drafts(uuid[])');

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
    create or replace trigger punctual_follow_event_replicated
      after insert or update or delete on public.task_calendar_events
      for each row execute function punctual.follow_event();
    alter table public.task_calendar_events enable replica trigger punctual_follow_event_replicated;
  end if;
end
$$;
