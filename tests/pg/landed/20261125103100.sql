
CREATE SCHEMA punctual;

CREATE TYPE punctual.facts AS (
	has_preferences boolean,
	phone_verified boolean,
	opted_out boolean,
	off text[],
	quiet_start bigint,
	quiet_end bigint,
	timezone text,
	daily_limit integer,
	app_count integer,
	app_reset_at timestamp with time zone,
	event_is_there boolean,
	event_is_cancelled boolean,
	event_start timestamp with time zone
);

CREATE FUNCTION public.get_user_sms_channel_info(p_user_id uuid) RETURNS TABLE(has_sms_available boolean, phone_number text, phone_verified boolean, phone_verified_at timestamp with time zone, opted_out boolean)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
    begin
      return query
        select p.phone_verified and not p.opted_out and coalesce(p.phone_number, '') ~ '\S',
               p.phone_number::text, p.phone_verified, p.phone_verified_at, p.opted_out
          from public.user_sms_preferences p
         where p.user_id = p_user_id;
      if not found then
        return query select false, null::text, false, null::timestamptz, false;
      end if;
    end
    $$;

CREATE FUNCTION public.is_business_hours(at timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$select punctual.is_open(at)$$;

CREATE FUNCTION punctual.as_boolean(word text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  select case when lower(word) in ('true', 't', 'yes', 'y', 'on', '1') then true
              when lower(word) in ('false', 'f', 'no', 'n', 'off', '0') then false end
$$;

CREATE FUNCTION punctual.as_instant(word text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
begin
  if word ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)$' then
    return word::timestamptz;
  end if;
  return null;
exception when data_exception then
  return null;
end
$_$;

CREATE FUNCTION punctual.as_int(word text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $_$
  select case when word ~ '^-?[0-9]{1,9}$' then word::int end
$_$;

CREATE FUNCTION punctual.as_time(word text) RETURNS time without time zone
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $_$
  select case when word ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$' then word::time end
$_$;

CREATE FUNCTION punctual.cancel_reminders(ids uuid[], was timestamp with time zone) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = 'Calendar event deleted', updated_at = clock_timestamp(),
         -- Should it come again at another time, the message knows from where to count.
         event_start = coalesce(m.event_start, was)
   where m.id = any (ids) and m.status = 'pending'
$$;

CREATE FUNCTION punctual.count_template_uses() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
  with held as (
    select t.id from public.sms_templates t
     where t.id in (select u.template_id from punctual.template_uses u)
     order by t.id
       for no key update skip locked
  ), taken as (
    delete from punctual.template_uses u using held where u.template_id = held.id
    returning u.template_id, u.uses, u.last_used_at
  )
  update public.sms_templates t
     set usage_count = coalesce(t.usage_count, 0) + s.uses,
         last_used_at = greatest(t.last_used_at, s.last_used_at)
    from (select template_id, sum(uses) as uses, max(last_used_at) as last_used_at from taken group by template_id) s
   where t.id = s.template_id;
  -- Of templates that are gone nobody asks.
  delete from punctual.template_uses u
   where not exists (select from public.sms_templates t where t.id = u.template_id);
exception when syntax_error_or_access_rule_violation then
  delete from punctual.template_uses;
end
$$;

CREATE FUNCTION punctual.event_gone(event text, owner uuid, was timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  -- The same event may be there once more.
  if exists (select from punctual.facts_of(array[owner], array[owner], array[owner], array[event]) f
              where (f.facts).event_is_there and not (f.facts).event_is_cancelled) then
    return;
  end if;
  perform punctual.cancel_reminders(punctual.hold_reminders(event, owner), was);
  insert into punctual.gone_events (calendar_event_id, user_id)
  select event, owner
   where exists (select from public.scheduled_messages m
                  where m.calendar_event_id = event and m.user_id = owner
                    and (m.status in ('pending', 'sending', 'unconfirmed')
                         -- It may turn out not to have arrived, and be tried again.
                         or m.status = 'sent' and coalesce(m.event_start, was) > clock_timestamp()))
  on conflict do nothing;
  perform punctual.note_reminders(event, owner, true, false, null, was, null);
end
$$;

CREATE FUNCTION punctual.event_is(event text, owner uuid, starts timestamp with time zone, was timestamp with time zone, vars jsonb, revive boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  delete from punctual.gone_events g where g.calendar_event_id = event and g.user_id = owner;
  if revive then
    perform punctual.revive_reminders(event, owner, starts, was);
  end if;
  perform punctual.move_reminders(punctual.hold_reminders(event, owner), starts, was, vars);
  perform punctual.note_reminders(event, owner, false, not revive and starts is distinct from was, starts, was, vars);
end
$$;

CREATE FUNCTION punctual.event_row(event text, owner uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
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
$_$;

CREATE FUNCTION punctual.event_shift(own timestamp with time zone, was timestamp with time zone, starts timestamp with time zone) RETURNS interval
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  -- In microseconds: between the same two dates an interval of days differs from zone to zone.
  select case when isfinite(coalesce(own, was)) and isfinite(starts)
              then extract(epoch from starts - coalesce(own, was)) * interval '1 second'
              else interval '0' end
$$;

CREATE FUNCTION punctual.event_vars(event jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  select jsonb_build_object('event_title', event -> 'event_title', 'event_link', event -> 'event_link')
$$;

CREATE FUNCTION punctual.facts_of(ids uuid[], tokens uuid[], users uuid[], events text[]) RETURNS TABLE(id uuid, token uuid, user_id uuid, facts punctual.facts)
    LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 250
    SET search_path TO ''
    AS $_$
#variable_conflict use_column
declare
  no_row constant text := 'select null::jsonb as row where false';
  key text;
  event_key text;
  preferences text := no_row;
  event text := no_row;
begin
  begin
    return query
      select a.id, a.token, a.user_id,
             row(p.is_there, p.phone_verified, p.opted_out, p.off, p.quiet_start, p.quiet_end, p.timezone,
                 p.daily_limit, p.app_count, p.app_reset_at,
                 e.is_there, e.cancelled or g.user_id is not null, e.event_start)::punctual.facts
        from unnest(ids, tokens, users, events) as a (id, token, user_id, event)
        left join lateral (
          select true as is_there, coalesce(p.phone_verified, false) as phone_verified,
                 coalesce(p.opted_out, false) as opted_out,
                 case when p.task_reminders and p.daily_brief_sms and p.urgent_alerts and p.morning_kickoff_enabled
                           and p.evening_recap_enabled and p.next_up_enabled and p.event_reminders_enabled
                      then '{}'::text[] else array_remove(array[
                   case when not p.task_reminders then 'task_reminder' end,
                   case when not p.daily_brief_sms then 'daily_brief' end,
                   case when not p.urgent_alerts then 'urgent_alert' end,
                   case when not p.morning_kickoff_enabled then 'morning_kickoff' end,
                   case when not p.evening_recap_enabled then 'evening_recap' end,
                   case when not p.next_up_enabled then 'next_up' end,
                   case when not p.event_reminders_enabled then 'event_reminder' end], null) end as off,
                 (date_part('epoch', p.quiet_hours_start::time) * 1000000)::bigint as quiet_start,
                 (date_part('epoch', p.quiet_hours_end::time) * 1000000)::bigint as quiet_end,
                 p.timezone::text as timezone, p.daily_sms_limit::int as daily_limit,
                 p.daily_sms_count::int as app_count, p.daily_count_reset_at::timestamptz as app_reset_at
            from public.user_sms_preferences p
           where p.user_id = a.user_id
           -- Of several rows of one user, the one that wants no texts.
           order by p.opted_out desc nulls last
           limit 1) p on true
        left join lateral (
          select true as is_there, coalesce(e.sync_status = 'cancelled', false) as cancelled,
                 e.event_start::timestamptz as event_start
            from public.task_calendar_events e
           where a.event is not null and e.calendar_event_id = a.event and e.user_id = a.user_id
           order by coalesce(e.sync_status = 'cancelled', false), e.event_start
           limit 1) e on true
        left join punctual.gone_events g
          on a.event is not null and e.is_there is null and g.calendar_event_id = a.event and g.user_id = a.user_id;
    return;
  exception when syntax_error_or_access_rule_violation or data_exception then
    null;
  end;

  key := punctual.key_type('user_sms_preferences', 'user_id');
  if key is not null then
    preferences := format(
      'select to_jsonb(p) as row from public.user_sms_preferences p where p.user_id = a.user_id::%s
        order by punctual.as_boolean(to_jsonb(p) ->> ''opted_out'') desc nulls last limit 1', key);
  end if;
  event_key := punctual.key_type('task_calendar_events', 'calendar_event_id');
  key := punctual.key_type('task_calendar_events', 'user_id');
  if key is not null and event_key is not null then
    event := format(
      'select to_jsonb(e) as row from public.task_calendar_events e
        where e.calendar_event_id = a.event::%s and e.user_id = a.user_id::%s
        order by to_jsonb(e) ->> ''sync_status'' is not distinct from ''cancelled'' limit 1', event_key, key);
  end if;
  return query execute format($q$
    select a.id, a.token, a.user_id,
           row(p.row is not null,
               case when p.row ? 'phone_verified' then coalesce(punctual.as_boolean(p.row ->> 'phone_verified'), false)
                    else true end,
               coalesce(punctual.as_boolean(p.row ->> 'opted_out'), false),
               array(select o.kind
                       from (values ('task_reminders', 'task_reminder'), ('daily_brief_sms', 'daily_brief'),
                                    ('urgent_alerts', 'urgent_alert'), ('morning_kickoff_enabled', 'morning_kickoff'),
                                    ('evening_recap_enabled', 'evening_recap'), ('next_up_enabled', 'next_up'),
                                    ('event_reminders_enabled', 'event_reminder')) as o (col, kind)
                      where not punctual.as_boolean(p.row ->> o.col)),
               (extract(epoch from punctual.as_time(p.row ->> 'quiet_hours_start')) * 1000000)::bigint,
               (extract(epoch from punctual.as_time(p.row ->> 'quiet_hours_end')) * 1000000)::bigint,
               p.row ->> 'timezone', punctual.as_int(p.row ->> 'daily_sms_limit'),
               punctual.as_int(p.row ->> 'daily_sms_count'), punctual.as_instant(p.row ->> 'daily_count_reset_at'),
               e.row is not null, coalesce(e.row ->> 'sync_status' = 'cancelled', g.user_id is not null),
               punctual.as_instant(e.row ->> 'event_start'))::punctual.facts
      from unnest($1, $2, $3, $4) as a (id, token, user_id, event)
      left join lateral (%s) p on true
      left join lateral (%s) e on true
      left join punctual.gone_events g
        on e.row is null and g.calendar_event_id = a.event and g.user_id = a.user_id
    $q$, preferences, event) using ids, tokens, users, events;
end
$_$;

CREATE FUNCTION punctual.facts_of_templates(templates uuid[]) RETURNS TABLE(id uuid, name text, message_template text, required_vars text, max_length integer, is_active boolean)
    LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 10
    SET search_path TO ''
    AS $_$
#variable_conflict use_column
declare
  key text;
begin
  begin
    return query
      select t.id::uuid, coalesce(t.template_key, t.name, t.id::text)::text, t.message_template::text,
             t.required_vars::jsonb::text, t.max_length::int, coalesce(t.is_active, true)
        from public.sms_templates t
       where t.id = any (templates);
    return;
  exception when syntax_error_or_access_rule_violation or data_exception then
    key := punctual.key_type('sms_templates', 'id');
  end;
  if key is null then
    return;
  end if;
  return query execute format($q$
    select (r.row ->> 'id')::uuid,
           coalesce(r.row ->> 'template_key', r.row ->> 'name', r.row ->> 'id'),
           r.row ->> 'message_template',
           case when jsonb_typeof(r.row -> 'required_vars') = 'array' then (r.row -> 'required_vars')::text end,
           punctual.as_int(r.row ->> 'max_length'),
           coalesce(punctual.as_boolean(r.row ->> 'is_active'), true)
      from (select to_jsonb(t) as row from public.sms_templates t where t.id = any ($1::%s[])) r
     where r.row ->> 'message_template' is not null
    $q$, key) using templates;
end
$_$;

CREATE FUNCTION punctual.follow_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '100ms'
    AS $_$
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
      after ->> 'calendar_event_id', (after ->> 'user_id')::uuid, starts, was, punctual.event_vars(after),
      not (same and was_there));
  end if;
  return null;
exception when others then
  raise warning 'reminders could not follow a calendar event: % (%)', sqlerrm, sqlstate;
  return null;
end
$_$;

CREATE FUNCTION punctual.follow_missed(most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
  writer constant text := current_setting('punctual.writer', true);
  missed record;
  -- What it has missed, all of which one look at the event makes good.
  those bigint[];
  event jsonb;
  followed int := 0;
begin
  perform set_config('punctual.writer', '', true);
  for missed in
    select u.id, u.message_id, u.calendar_event_id, u.user_id, u.was
      from punctual.unfollowed u
      left join public.scheduled_messages m on m.id = u.message_id
     where (m.id is null or m.status not in ('sending', 'unconfirmed', 'sent')
            -- What was sent and is not put back by then, will not be.
            or m.status = 'sent' and u.noted_at < clock_timestamp() - interval '3 days')
       -- What an app's own trigger refuses is not asked of it all the time.
       and coalesce(u.refused_at < clock_timestamp() - interval '1 minute', true)
       -- One a message, the first: from there it is moved.
       and not exists (select from punctual.unfollowed o where o.message_id = u.message_id and o.id < u.id)
     order by u.refused_at nulls first, u.id
     limit most
       for update of u skip locked
  loop
    begin
      perform from public.scheduled_messages m where m.id = missed.message_id and m.status = 'pending'
          for no key update skip locked;
      those := array(select u.id from punctual.unfollowed u where u.message_id = missed.message_id);
      if found then
        event := punctual.event_row(missed.calendar_event_id, missed.user_id);
        if event ->> 'sync_status' = 'cancelled'
           or event is null and exists (select from punctual.gone_events g
                                         where g.calendar_event_id = missed.calendar_event_id
                                           and g.user_id = missed.user_id)
        then
          perform punctual.cancel_reminders(array[missed.message_id], missed.was);
        elsif event is not null then
          perform punctual.move_reminders(array[missed.message_id], punctual.as_instant(event ->> 'event_start'),
                                          missed.was, punctual.event_vars(event));
        end if;
        insert into punctual.notes (message_id, note) values (missed.message_id, 'it has followed its calendar event');
        followed := followed + 1;
      elsif exists (select from public.scheduled_messages m
                     where m.id = missed.message_id and m.status in ('pending', 'sending', 'unconfirmed'))
      then
        -- Held, or claimed this moment: the next time.
        continue;
      end if;
      delete from punctual.unfollowed u where u.id = any (those);
    exception when others then
      raise warning 'message % could not follow its calendar event yet: % (%)', missed.message_id, sqlerrm, sqlstate;
      update punctual.unfollowed u set refused_at = clock_timestamp() where u.id = missed.id;
    end;
  end loop;
  perform set_config('punctual.writer', coalesce(writer, ''), true);
  return followed;
end
$$;

CREATE FUNCTION punctual.guard_delete() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  refused int;
begin
  -- A cascade must fail as a whole: a skipped row would be left pointing at nothing.
  if pg_trigger_depth() > 1 then
    raise exception using errcode = 'PT409',
      message = format('message %s is being sent this moment; it cannot be deleted', old.id);
  end if;
  refused := coalesce(nullif(split_part(current_setting('punctual.refused_delete', true), ' ', 1), ''), '0')::int;
  perform set_config('punctual.refused_delete', format('%s %s %s', refused + 1, old.id, old.status), true);
  return null;
end
$$;

CREATE FUNCTION punctual.guard_insert() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if new.status in ('sending', 'delivered', 'unconfirmed')
     or (new.status <> 'pending' and coalesce(current_setting('punctual.writer', true), '') = 'on')
  then
    raise exception using errcode = 'PT409',
      message = format('a new message cannot be %s', new.status),
      hint = 'Insert it as pending.';
  end if;
  if new.status = 'pending' then
    new.attempts := 0;
    new.next_attempt_at := null;
    new.deferred_until := null;
    new.requeued_at := null;
    new.version := 0;
    new.twilio_sid := null;
    new.delivered_at := null;
  end if;
  return new;
end
$$;

CREATE FUNCTION punctual.guard_put_back() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
  if exists (select from punctual.attempts a
              where a.message_id = old.id
                and (a.outcome is null or a.outcome = 'unknown' and a.settled_by is null))
  then
    raise exception using errcode = 'PT409',
      message = format('message %s has an attempt whose outcome is not known; sending it again could text twice', old.id),
      hint = 'Settle it first with: punctual resolve ' || old.id;
  end if;
  return new;
end
$$;

CREATE FUNCTION punctual.guard_statement() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  count constant text := 'punctual.refused_' || lower(tg_op);
  refused text[];
  changed boolean;
begin
  if pg_trigger_depth() > 1 then
    return null;
  end if;
  refused := string_to_array(nullif(current_setting(count, true), ''), ' ');
  if refused is null then
    return null;
  end if;
  perform set_config(count, '', true);
  if tg_op = 'UPDATE' then
    changed := exists (select from new_rows);
  else
    changed := exists (select from old_rows);
  end if;
  if changed then
    raise warning '% of the messages are past the point and were left as they are (one of them: %, %)',
      refused[1], refused[2], refused[3];
    return null;
  end if;
  raise exception using errcode = 'PT409',
    message = case
      when refused[1] = '1' then format('message %s is %s; it is too late to %s it', refused[2], refused[3],
                                        case tg_op when 'UPDATE' then 'cancel' else 'delete' end)
      else format('none of the %s messages can be %s any more (one of them: %s, %s)', refused[1],
                  case tg_op when 'UPDATE' then 'cancelled' else 'deleted' end, refused[2], refused[3])
    end;
end
$$;

CREATE FUNCTION punctual.guard_update() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  daemon constant boolean := coalesce(current_setting('punctual.writer', true), '') = 'on';
  refused int;
begin
  if daemon then
    if new.status = old.status
       or (case old.status
            when 'pending' then new.status in ('sending', 'cancelled', 'sent', 'delivered')
            when 'sending' then new.status in ('pending', 'cancelled', 'sent', 'delivered', 'failed', 'unconfirmed')
            when 'unconfirmed' then new.status in ('sent', 'delivered', 'failed', 'pending', 'cancelled')
            when 'sent' then new.status in ('delivered', 'failed', 'pending')
            when 'failed' then new.status in ('sent', 'delivered')
            when 'cancelled' then new.status in ('sent', 'delivered')
            else false
          end)
    then
      return new;
    end if;
    raise exception using errcode = 'PT409',
      message = format('message %s cannot go from %s to %s', old.id, old.status, new.status);
  end if;

  if new.status is distinct from old.status
     and not (case old.status
               when 'pending' then new.status in ('cancelled', 'sent', 'failed')
               when 'failed' then new.status = 'pending'
               when 'cancelled' then new.status = 'pending'
               -- A status of the app's own that the CHECK let in before us may be left.
               when 'sending' then false
               when 'sent' then false
               when 'delivered' then false
               when 'unconfirmed' then false
               else true
             end)
  then
    -- In a statement over many rows a cancel skips what is past the point; whether that was
    -- all there was, the statement trigger knows. A nested statement (a cascade, a trigger of
    -- the app's) must not be skipped silently: it would leave the app half-changed.
    if new.status = 'cancelled' and pg_trigger_depth() = 1 then
      refused := coalesce(nullif(split_part(current_setting('punctual.refused_update', true), ' ', 1), ''), '0')::int;
      perform set_config('punctual.refused_update', format('%s %s %s', refused + 1, old.id, old.status), true);
      return null;
    end if;
    raise exception using errcode = 'PT409',
      message = format('message %s is %s; it cannot be made %s', old.id, old.status, new.status),
      hint = case old.status
               when 'sending' then 'It is being sent this moment.'
               when 'unconfirmed' then 'Whether it was sent is not known; settle it with: punctual resolve ' || old.id
               else 'To send it again, insert a new row.'
             end;
  end if;

  if old.status = 'sending'
     and (new.id <> old.id
          or new.to_number is distinct from old.to_number
          or new.from_number is distinct from old.from_number
          or new.body is distinct from old.body
          or new.scheduled_at is distinct from old.scheduled_at
          or new.template_vars is distinct from old.template_vars
          -- A foreign key's `on delete set null` passes.
          or (new.template_id is distinct from old.template_id and new.template_id is not null))
  then
    raise exception using errcode = 'PT409',
      message = format('message %s is being sent this moment; it can no longer be changed', old.id);
  end if;

  new.attempts := old.attempts;
  new.next_attempt_at := old.next_attempt_at;
  new.deferred_until := old.deferred_until;
  -- Lateness counts from it: an app that writes whole rows back must not make one too late.
  new.requeued_at := old.requeued_at;
  new.twilio_sid := old.twilio_sid;
  new.delivered_at := old.delivered_at;
  new.version := old.version + 1;

  -- The user's word counts in both directions: an edit of the time, or a put-back, drops every
  -- deferral and backoff and starts the attempts anew.
  if new.status = 'pending'
     and (new.scheduled_at is distinct from old.scheduled_at or old.status <> 'pending')
  then
    new.deferred_until := null;
    new.deferred_reason := null;
    new.next_attempt_at := null;
    new.attempts := 0;
    new.requeued_at := clock_timestamp();
    if old.status <> 'pending' then
      new.sent_at := null;
      new.error_message := null;
      new.error_code := null;
      new.twilio_sid := null;
      new.cancelled_at := null;
      new.cancel_reason := null;
    end if;
  elsif new.status = 'cancelled' and old.status <> 'cancelled' then
    new.cancelled_at := clock_timestamp();
  end if;
  return new;
end
$$;

CREATE FUNCTION punctual.hold_reminders(event text, owner uuid) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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

CREATE FUNCTION punctual.installation() RETURNS TABLE(timezone text, business_hours text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
  select coalesce(max(s.timezone), 'UTC'), max(s.business_hours) from punctual.settings s
$$;

CREATE FUNCTION punctual.is_behind(own timestamp with time zone, starts timestamp with time zone, own_vars jsonb, vars jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
  select own is distinct from coalesce(starts, own)
         or coalesce(jsonb_typeof(own_vars) = 'object' and not own_vars @> vars, false)
$$;

CREATE FUNCTION punctual.is_open(at timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
  clock timestamp;
  us bigint;
  told record;
begin
  select * into told from punctual.settings;
  if told.business_hours is null then
    return true;
  end if;
  clock := at at time zone told.timezone;
  us := (extract(isodow from clock) - 1) * 86400000000 + extract(epoch from clock::time) * 1000000;
  return exists (select from unnest(told.open_from, told.open_until) as o (opens, closes)
                  where us >= o.opens and us < o.closes);
exception when invalid_parameter_value then
  return null;
end
$$;

CREATE FUNCTION punctual.key_type(tab text, col text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select pg_catalog.format_type(a.atttypid, null)
    from pg_catalog.pg_attribute a
   where a.attrelid = to_regclass('public.' || tab) and a.attname = col and a.attnum > 0
     and not a.attisdropped and a.atttypid in ('uuid'::regtype, 'text'::regtype, 'pg_catalog.varchar'::regtype)
$$;

CREATE FUNCTION punctual.local_messages(installation text) RETURNS TABLE(id uuid, message text, recipient text, status text, timezone text, due_local timestamp without time zone, minutes_until numeric, held_by text)
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
#variable_conflict use_column
declare
  row record;
  their_zone text;
  candidate text;
  asks constant boolean := coalesce(
    pg_catalog.has_table_privilege(to_regclass('public.user_sms_preferences'), 'select'), false)
    and exists (select from pg_catalog.pg_attribute a
                 where a.attrelid = to_regclass('public.user_sms_preferences') and not a.attisdropped
                   and a.attname = 'user_id' and a.atttypid = 'uuid'::regtype)
    and exists (select from pg_catalog.pg_attribute a
                 where a.attrelid = to_regclass('public.user_sms_preferences') and not a.attisdropped
                   and a.attname = 'timezone');
begin
  for row in
    select m.*, greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due
      from public.scheduled_messages m
     where m.status in ('pending', 'sending', 'unconfirmed')
     order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
  loop
    their_zone := null;
    if asks and row.user_id is not null then
      execute 'select p.timezone::text from public.user_sms_preferences p where p.user_id = $1 limit 1'
        into their_zone using row.user_id;
    end if;
    foreach candidate in array array[row.timezone, their_zone, installation, 'UTC'] loop
      -- An abbreviation is a zone to Postgres, and none to the daemon.
      continue when exists (select from pg_catalog.pg_timezone_abbrevs a where a.abbrev = upper(btrim(candidate)))
                    and upper(btrim(candidate)) not in ('UTC', 'GMT');
      begin
        due_local := row.due at time zone btrim(candidate);
        timezone := btrim(candidate);
        exit when due_local is not null;
      exception when invalid_parameter_value then
        continue;
      end;
    end loop;
    id := row.id;
    message := left(row.body, 60);
    recipient := row.to_number;
    status := row.status;
    minutes_until := case when isfinite(row.due)
                          then round((extract(epoch from row.due - clock_timestamp()) / 60)::numeric, 1) end;
    held_by := case
      when row.status = 'sending' then 'it is being sent this moment'
      when row.status = 'unconfirmed' then 'nobody knows whether it was sent: ' || coalesce(row.error_message, 'no answer')
      when row.next_attempt_at = row.due and row.next_attempt_at > row.scheduled_at
        then 'until the next try: ' || coalesce(row.error_message, 'it was not sent')
      when row.deferred_until = row.due and row.deferred_until > row.scheduled_at
        then coalesce(row.deferred_reason, 'deferred')
      end;
    return next;
  end loop;
end
$_$;

CREATE FUNCTION punctual.move_reminders(ids uuid[], starts timestamp with time zone, was timestamp with time zone, vars jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  update public.scheduled_messages m
     set updated_at = clock_timestamp(),
         scheduled_at = m.scheduled_at + punctual.event_shift(m.event_start, was, starts),
         event_start = coalesce(starts, m.event_start),
         template_vars = case when jsonb_typeof(m.template_vars) = 'object'
                              then m.template_vars || vars else m.template_vars end
   where m.id = any (ids) and m.status = 'pending'
     and punctual.is_behind(m.event_start, starts, m.template_vars, vars)
$$;

CREATE FUNCTION punctual.note_reminders(event text, owner uuid, gone boolean, moved boolean, starts timestamp with time zone, was timestamp with time zone, vars jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  with missed as (
    select m.id, m.status
      from public.scheduled_messages m
     where m.calendar_event_id = event and m.user_id = owner
       and (m.status = 'pending' and (gone or punctual.is_behind(m.event_start, starts, m.template_vars, vars))
            or (gone or moved)
               and (m.status in ('sending', 'unconfirmed')
                    or m.status in ('sent', 'delivered') and coalesce(m.event_start, was) > clock_timestamp()))
  ), told as (
    -- Each once: some calendars are synced every few minutes.
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
  -- The first move that was missed is what the message is to be moved from. What is pending may be
  -- following an earlier one this moment: it is added without a look.
  insert into punctual.unfollowed (message_id, calendar_event_id, user_id, was)
  select m.id, event, owner, was
    from missed m
   where m.status = 'pending'
      or m.status <> 'delivered' and not exists (select from punctual.unfollowed u where u.message_id = m.id)
$$;

CREATE FUNCTION punctual.notify_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  near constant timestamptz := clock_timestamp() + interval '2 hours';
  named constant int := 200;
  ids text;
  n int;
begin
  if tg_op = 'INSERT' then
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from new_rows r
             where r.status = 'pending'
               and greatest(r.scheduled_at, r.deferred_until, r.next_attempt_at) <= near
             limit named + 1) t;
  elsif tg_op = 'DELETE' then
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from old_rows r
             where r.status = 'pending'
               and greatest(r.scheduled_at, r.deferred_until, r.next_attempt_at) <= near
             limit named + 1) t;
  else
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from new_rows r
             where r.status = 'pending'
               and greatest(r.scheduled_at, r.deferred_until, r.next_attempt_at) <= near
            union
            select r.id from old_rows r
             where r.status = 'pending'
               and greatest(r.scheduled_at, r.deferred_until, r.next_attempt_at) <= near
             limit named + 1) t;
  end if;
  -- A full queue (somebody listens inside a transaction left open) would make the commit fail;
  -- the sweeps find the rows without us.
  if n > 0 and pg_notification_queue_usage() < 0.9 then
    perform pg_notify('punctual', case when n > named then 'rescan' else 'ids ' || ids end);
  end if;
  return null;
end
$$;

CREATE FUNCTION punctual.notify_truncate() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  perform pg_notify('punctual', 'rescan');
  return null;
end
$$;

CREATE FUNCTION punctual.opted_out() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '100ms'
    AS $_$
declare
  after constant jsonb := to_jsonb(new);
  whose uuid;
  ids uuid[];
begin
  if punctual.as_boolean(after ->> 'opted_out') is not true
     or after ->> 'user_id' !~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$'
     or (tg_op = 'UPDATE' and punctual.as_boolean(to_jsonb(old) ->> 'opted_out')
         and to_jsonb(old) ->> 'user_id' = after ->> 'user_id')
  then
    return null;
  end if;
  whose := (after ->> 'user_id')::uuid;
  begin
    ids := array(select m.id from public.scheduled_messages m
                  where m.user_id = whose and m.status = 'pending'
                  order by m.id
                    for no key update);
  -- Somebody of the app's holds one of them: the claim will find out.
  exception when lock_not_available or deadlock_detected then
    ids := array(select m.id from public.scheduled_messages m
                  where m.user_id = whose and m.status = 'pending'
                  order by m.id
                    for no key update skip locked);
  end;
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = 'the recipient has opted out', updated_at = clock_timestamp()
   where m.id = any (ids) and m.status = 'pending';
  insert into punctual.notes (message_id, note)
  select m.id, 'the recipient has opted out; too late, it was being sent'
    from public.scheduled_messages m
   where m.user_id = whose and m.status in ('sending', 'unconfirmed');
  return null;
exception when others then
  raise warning 'what is pending for a user who opted out could not be cancelled yet: % (%)', sqlerrm, sqlstate;
  return null;
end
$_$;

CREATE FUNCTION punctual.place_back() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update punctual.daily_counts c
     set count = greatest(c.count - 1, 0)
   where c.user_id = new.user_id and c.day = new.day;
  new.gave_back := true;
  return new;
end
$$;

CREATE FUNCTION punctual.revive_reminders(event text, owner uuid, starts timestamp with time zone, was timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
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
                            and (a.outcome is null or a.outcome = 'unknown' and a.settled_by is null))
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

CREATE FUNCTION punctual.templates_named(word text, most integer) RETURNS TABLE(id uuid, name text, message_template text, required_vars text, max_length integer, is_active boolean, is_it boolean)
    LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER ROWS 10
    SET search_path TO ''
    AS $_$
#variable_conflict use_column
begin
  if to_regclass('public.sms_templates') is null then
    return;
  end if;
  return query
    select (r.row ->> 'id')::uuid, coalesce(r.key, r.row ->> 'id'), r.row ->> 'message_template',
           case when jsonb_typeof(r.row -> 'required_vars') = 'array' then (r.row -> 'required_vars')::text end,
           punctual.as_int(r.row ->> 'max_length'), r.is_active, r.is_it
      from (select t.row, n.key, coalesce(punctual.as_boolean(t.row ->> 'is_active'), true) as is_active,
                   coalesce(n.key = word, false) or t.row ->> 'id' = lower(word) as is_it
              from (select to_jsonb(t) as row from public.sms_templates t) t
             cross join lateral (select coalesce(t.row ->> 'template_key', t.row ->> 'name') as key) n) r
     where r.row ->> 'message_template' is not null
       and r.row ->> 'id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
     order by r.is_it desc, r.is_active desc, 2
     limit most;
end
$_$;

CREATE VIEW public.business_hours_status AS
 SELECT punctual.is_open(clock_timestamp()) AS is_business_hours,
    i.timezone,
    i.business_hours,
    (clock_timestamp() AT TIME ZONE i.timezone) AS local_time,
    btrim(to_char((clock_timestamp() AT TIME ZONE i.timezone), 'Day'::text)) AS day_name
   FROM punctual.installation() i(timezone, business_hours);

CREATE TABLE public.contacts (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text,
    phone_number text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.conversations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    phone_number text NOT NULL,
    contact_id uuid,
    last_message_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.messages (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    conversation_id uuid,
    direction text NOT NULL,
    body text,
    from_number text,
    to_number text,
    twilio_sid text,
    status text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT messages_direction_check CHECK ((direction = ANY (ARRAY['inbound'::text, 'outbound'::text])))
);

CREATE TABLE public.profiles (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.scheduled_messages (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    conversation_id uuid,
    to_number text NOT NULL,
    from_number text,
    body text NOT NULL,
    template_id uuid,
    scheduled_at timestamp with time zone NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    sent_at timestamp with time zone,
    error_message text,
    created_by uuid,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    user_id uuid,
    timezone text,
    channel text DEFAULT 'sms'::text,
    message_type text,
    priority text DEFAULT 'normal'::text,
    template_vars jsonb,
    dedup_key text,
    send_before timestamp with time zone,
    in_doubt text,
    calendar_event_id text,
    event_start timestamp with time zone,
    campaign_id uuid,
    max_attempts integer DEFAULT 3,
    deferred_until timestamp with time zone,
    next_attempt_at timestamp with time zone,
    requeued_at timestamp with time zone,
    delivered_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    deferred_reason text,
    cancel_reason text,
    attempts integer DEFAULT 0 NOT NULL,
    twilio_sid text,
    error_code integer,
    version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT scheduled_messages_in_doubt_punctual CHECK ((in_doubt = ANY (ARRAY['hold'::text, 'resend_if_absent'::text, 'resend'::text]))),
    CONSTRAINT scheduled_messages_max_attempts_punctual CHECK (((max_attempts >= 1) AND (max_attempts <= 100))),
    CONSTRAINT scheduled_messages_priority_punctual CHECK ((priority = ANY (ARRAY['low'::text, 'normal'::text, 'high'::text, 'urgent'::text]))),
    CONSTRAINT scheduled_messages_status_punctual CHECK ((status = ANY (ARRAY['pending'::text, 'sending'::text, 'sent'::text, 'delivered'::text, 'failed'::text, 'cancelled'::text, 'unconfirmed'::text])))
);

CREATE VIEW public.scheduled_messages_local AS
 SELECT l.id,
    l.message,
    l.recipient,
    l.status,
    l.timezone,
    l.due_local,
    l.minutes_until,
    l.held_by
   FROM punctual.installation() i(timezone, business_hours),
    LATERAL punctual.local_messages(i.timezone) l(id, message, recipient, status, timezone, due_local, minutes_until, held_by);

CREATE TABLE public.sms_templates (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text,
    message_template text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    template_key text,
    description text,
    template_vars jsonb DEFAULT '[]'::jsonb,
    required_vars jsonb DEFAULT '[]'::jsonb,
    max_length integer DEFAULT 160,
    is_active boolean DEFAULT true,
    usage_count bigint DEFAULT 0,
    last_used_at timestamp with time zone
);

CREATE TABLE public.task_calendar_events (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    calendar_event_id text NOT NULL,
    user_id uuid NOT NULL,
    event_title text,
    event_start timestamp with time zone,
    event_end timestamp with time zone,
    event_link text,
    sync_status text DEFAULT 'pending'::text,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now()
);

CREATE TABLE public.user_sms_preferences (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    phone_number text,
    phone_verified boolean DEFAULT false,
    phone_verified_at timestamp with time zone,
    task_reminders boolean DEFAULT false,
    daily_brief_sms boolean DEFAULT false,
    urgent_alerts boolean DEFAULT true,
    morning_kickoff_enabled boolean DEFAULT false,
    morning_kickoff_time time without time zone DEFAULT '08:00:00'::time without time zone,
    evening_recap_enabled boolean DEFAULT false,
    next_up_enabled boolean DEFAULT false,
    event_reminders_enabled boolean DEFAULT false,
    quiet_hours_start time without time zone DEFAULT '21:00:00'::time without time zone,
    quiet_hours_end time without time zone DEFAULT '08:00:00'::time without time zone,
    timezone text DEFAULT 'America/Los_Angeles'::text,
    daily_sms_limit integer DEFAULT 10,
    daily_sms_count integer DEFAULT 0,
    daily_count_reset_at timestamp with time zone DEFAULT now(),
    opted_out boolean DEFAULT false,
    opted_out_at timestamp with time zone,
    opt_out_reason text,
    created_at timestamp with time zone DEFAULT now(),
    updated_at timestamp with time zone DEFAULT now()
);

CREATE TABLE punctual.attempts (
    token uuid NOT NULL,
    message_id uuid NOT NULL,
    number integer NOT NULL,
    part smallint DEFAULT 0 NOT NULL,
    instance uuid NOT NULL,
    claimed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    lease_until timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    outcome text,
    provider_sid text,
    code integer,
    category text,
    error text,
    receipt_status text,
    message_status text,
    asked integer DEFAULT 0 NOT NULL,
    asked_at timestamp with time zone,
    ask_note text,
    next_ask_at timestamp with time zone,
    sought_to text,
    sought_from text,
    sought_text bytea,
    settled_by text,
    settled_at timestamp with time zone,
    user_id uuid,
    day date,
    gave_back boolean DEFAULT false NOT NULL,
    body text,
    regained boolean DEFAULT false NOT NULL
);

CREATE TABLE punctual.daily_counts (
    user_id uuid NOT NULL,
    day date NOT NULL,
    count integer NOT NULL,
    wanted integer DEFAULT 0 NOT NULL,
    most integer DEFAULT 0 NOT NULL,
    app_left integer,
    granted integer DEFAULT 0 NOT NULL
);

CREATE TABLE punctual.days (
    zone text NOT NULL,
    starts timestamp with time zone NOT NULL,
    ends timestamp with time zone NOT NULL,
    day date NOT NULL
);

CREATE TABLE punctual.gone_events (
    calendar_event_id text NOT NULL,
    user_id uuid NOT NULL,
    gone_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE punctual.instances (
    id uuid NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    stopped_at timestamp with time zone,
    version text NOT NULL
);

CREATE TABLE punctual.migrations (
    version bigint NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE punctual.notes (
    id bigint NOT NULL,
    message_id uuid NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    note text NOT NULL
);

ALTER TABLE punctual.notes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.notes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE punctual.outbox (
    id bigint NOT NULL,
    message_id uuid NOT NULL,
    write jsonb NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    last_error text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE punctual.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE punctual.receipts (
    id bigint NOT NULL,
    message_id uuid NOT NULL,
    token uuid NOT NULL,
    provider_sid text NOT NULL,
    status text NOT NULL,
    error_code integer,
    effect text NOT NULL,
    row_status text,
    received_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT receipts_effect_check CHECK ((effect = ANY (ARRAY['advanced'::text, 'contradicted'::text])))
);

ALTER TABLE punctual.receipts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.receipts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE punctual.settings (
    one boolean DEFAULT true NOT NULL,
    timezone text DEFAULT 'UTC'::text NOT NULL,
    business_hours text,
    open_from bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    open_until bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT settings_one_check CHECK (one)
);

CREATE TABLE punctual.suppressions (
    id bigint NOT NULL,
    our_number text,
    their_number text NOT NULL,
    reason text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE punctual.suppressions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.suppressions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE punctual.template_uses (
    id bigint NOT NULL,
    template_id uuid NOT NULL,
    uses bigint NOT NULL,
    last_used_at timestamp with time zone
);

ALTER TABLE punctual.template_uses ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.template_uses_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE punctual.triggers (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

CREATE TABLE punctual.unfollowed (
    message_id uuid NOT NULL,
    calendar_event_id text NOT NULL,
    user_id uuid NOT NULL,
    was timestamp with time zone,
    noted_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    refused_at timestamp with time zone,
    id bigint NOT NULL
);

ALTER TABLE punctual.unfollowed ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME punctual.unfollowed_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000001', NULL, '+15550100001', NULL, 'text 1', NULL, '2026-11-20 10:00:00+00', 'pending', NULL, NULL, NULL, '{}', '2026-11-28 19:36:23.395232+00', '2026-11-28 19:36:23.395232+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 1', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0);
INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000002', NULL, '+15550100002', NULL, 'text 2', NULL, '2026-11-20 10:00:00+00', 'sent', '2026-11-20 10:00:01+00', NULL, NULL, '{}', '2026-11-28 19:36:23.395232+00', '2026-11-28 19:36:23.395232+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 2', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 'SM1', NULL, 0);
INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000003', NULL, '+15550100003', NULL, 'text 3', NULL, '2026-11-20 10:00:00+00', 'failed', NULL, 'no', NULL, '{}', '2026-11-28 19:36:23.395232+00', '2026-11-28 19:36:23.395232+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 3', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0);
INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000004', NULL, '+15550100004', NULL, 'text 4', NULL, '2026-11-20 10:00:00+00', 'unconfirmed', NULL, 'no answer', NULL, '{}', '2026-11-28 19:36:23.395232+00', '2026-11-28 19:36:23.395232+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 4', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0);
INSERT INTO public.scheduled_messages VALUES ('00000000-0000-4000-8000-000000000005', NULL, '+15550100005', NULL, 'text 5', NULL, '2026-11-20 10:00:00+00', 'unconfirmed', NULL, 'no answer', NULL, '{}', '2026-11-28 19:36:23.395232+00', '2026-11-28 19:36:23.395232+00', '11111111-1111-4111-8111-111111111111', NULL, 'sms', NULL, 'normal', NULL, 'key 5', NULL, NULL, 'event', '2026-11-20 11:00:00+00', NULL, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, 0);

INSERT INTO public.sms_templates VALUES ('44444444-4444-4444-8444-444444444444', 'Hello', 'Hello {name}', '2026-11-20 09:00:00+00', '2026-11-20 09:00:00+00', 'hello', NULL, '[]', '[]', 160, true, 0, NULL);

INSERT INTO punctual.attempts VALUES ('33333333-3333-4333-8333-333333333334', '00000000-0000-4000-8000-000000000004', 1, 0, '22222222-2222-4222-8222-222222222222', '2026-11-20 09:59:00+00', '2026-11-20 10:01:00+00', '2026-11-20 10:00:00+00', '2026-11-20 10:00:01+00', 'unknown', NULL, NULL, NULL, NULL, NULL, NULL, 3, '2026-11-20 10:05:00+00', 'nothing on the list', '2026-11-20 10:06:00+00', '+15550100004', '+15550100000', '\xb47c67e6c66feeeaf2409bcfd364a4ee7fd35d68b9da03838f38f4099faa14ca', NULL, NULL, '11111111-1111-4111-8111-111111111111', '2026-11-20', false, NULL, false);
INSERT INTO punctual.attempts VALUES ('33333333-3333-4333-8333-333333333335', '00000000-0000-4000-8000-000000000005', 1, 0, '22222222-2222-4222-8222-222222222222', '2026-11-20 09:59:00+00', '2026-11-20 10:01:00+00', '2026-11-20 10:00:00+00', '2026-11-20 10:00:01+00', 'unknown', NULL, NULL, NULL, NULL, NULL, NULL, 3, '2026-11-20 10:05:00+00', 'nothing on the list', '2026-11-20 10:06:00+00', '+15550100004', '+15550100000', '\xb47c67e6c66feeeaf2409bcfd364a4ee7fd35d68b9da03838f38f4099faa14ca', NULL, NULL, '11111111-1111-4111-8111-111111111111', '2026-11-20', false, NULL, false);
INSERT INTO punctual.attempts VALUES ('33333333-3333-4333-8333-333333333333', '00000000-0000-4000-8000-000000000003', 1, 0, '22222222-2222-4222-8222-222222222222', '2026-11-20 09:59:00+00', '2026-11-20 10:01:00+00', '2026-11-20 10:00:00+00', '2026-11-20 10:00:01+00', 'refused', NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '11111111-1111-4111-8111-111111111111', '2026-11-20', true, NULL, false);
INSERT INTO punctual.attempts VALUES ('33333333-3333-4333-8333-333333333332', '00000000-0000-4000-8000-000000000002', 1, 0, '22222222-2222-4222-8222-222222222222', '2026-11-20 09:59:00+00', '2026-11-20 10:01:00+00', '2026-11-20 10:00:00+00', '2026-11-20 10:00:01+00', 'accepted', 'SM1', NULL, NULL, NULL, 'sent', 'sent', 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL, true);

INSERT INTO punctual.daily_counts VALUES ('11111111-1111-4111-8111-111111111111', '2026-11-20', 2, 0, 0, NULL, 0);

INSERT INTO punctual.gone_events VALUES ('event', '11111111-1111-4111-8111-111111111111', '2026-11-20 09:00:00+00');

INSERT INTO punctual.instances VALUES ('22222222-2222-4222-8222-222222222222', '2026-11-20 09:00:00+00', '2026-11-20 12:00:00+00', '2026-11-20 12:00:00+00', '0.1.0');

INSERT INTO punctual.migrations VALUES (20251231000000, 'migrations/20251231000000_shape.sql', '77ac161f9b9a9ccd53479510f5acbffa44503526f0870b437cca4167b0ec2f72', '2026-11-28 19:35:56.509407+00');
INSERT INTO punctual.migrations VALUES (20260101000000, 'migrations/20260101000000_app_tables.sql', '05922ac20d1a34eaf74e9c045c90a0db905550e04c02b08456e79974e8a83f71', '2026-11-28 19:35:56.576469+00');
INSERT INTO punctual.migrations VALUES (20260101000100, 'migrations/20260101000100_scheduled_messages.sql', 'b5270495720c6a8002a619b958332cb87607dcb9f152c5be719651c5c7fa136b', '2026-11-28 19:35:56.587313+00');
INSERT INTO punctual.migrations VALUES (20260101000200, 'migrations/20260101000200_private_state.sql', 'fc371afd8bceb6af12b2da8d5a023fd495b99f2866a5bcd6949042eb7975e4a0', '2026-11-28 19:35:56.63965+00');
INSERT INTO punctual.migrations VALUES (20260101000300, 'migrations/20260101000300_validate.sql', 'a1e0edbe1ce0784f6ff9721c120f543d244c06c211eff70a25d7e4fe5611f1a2', '2026-11-28 19:35:56.644441+00');
INSERT INTO punctual.migrations VALUES (20260101000400, 'migrations/20260101000400_indexes.sql', '416764ed1056c9e43956029a2698fa0ae2f410ccc9df232b3eacf2f736acc897', '2026-11-28 19:35:56.659472+00');
INSERT INTO punctual.migrations VALUES (20260102000000, 'migrations/20260102000000_receipts.sql', '7f258462fa1bcfac8296cf7e322ab29048b8cbb6db7e293875f3600cb763f087', '2026-11-28 19:35:56.687441+00');
INSERT INTO punctual.migrations VALUES (20260102000100, 'migrations/20260102000100_suppressions.sql', 'a8a56d08bf4da37106e7c75e5d1f5b7157298011b77865384389f340854a1c54', '2026-11-28 19:35:56.707342+00');
INSERT INTO punctual.migrations VALUES (20260102000200, 'migrations/20260102000200_deferred.sql', '087d8fa7d9cbe89b464ff510f942adbf990b52ec29a2bc54382a32223fc2d7f6', '2026-11-28 19:35:56.709532+00');
INSERT INTO punctual.migrations VALUES (20260104000000, 'migrations/20260104000000_enquiries.sql', '52b1160ad2808a09fb47b602018cf69d9984cf7294efd9e74f69f40a59398e65', '2026-11-28 19:35:56.72409+00');
INSERT INTO punctual.migrations VALUES (20260105000000, 'migrations/20260105000000_people.sql', '29a465104a1c6a0709128195b0af2ecff982ae2b41173145ed9527eca05b01ec', '2026-11-28 19:35:56.769734+00');
INSERT INTO punctual.migrations VALUES (20260105000100, 'migrations/20260105000100_counts.sql', 'e2c8e437451c86ade089c5df30c5405bcb4128e2c6d9a30e4ff2467dff368b44', '2026-11-28 19:35:56.823432+00');
INSERT INTO punctual.migrations VALUES (20260105000200, 'migrations/20260105000200_facts.sql', '3d8e8493f073cde6b09dc94c965a7e78c88ca3db397759720d18e3f267286a85', '2026-11-28 19:35:56.840703+00');
INSERT INTO punctual.migrations VALUES (20260105000300, 'migrations/20260105000300_views.sql', '2f3184466825f1470c04bf17106d9fefe5f05c9669835fd7328d68c10085e276', '2026-11-28 19:35:56.844867+00');
INSERT INTO punctual.migrations VALUES (20260105000400, 'migrations/20260105000400_indexes.sql', '1525c9551de5d428334c204b91d513ce0897cb0027c936c993d7b7cb3d65d0e5', '2026-11-28 19:35:56.857518+00');
INSERT INTO punctual.migrations VALUES (20261125100000, 'migrations/20261125100000_regained.sql', '3b2f39f2c02e6ae19a0d9667696075fac0977b31598acb76a8854dbed6daf9b0', '2026-11-28 19:35:56.863643+00');
INSERT INTO punctual.migrations VALUES (20261125101000, 'migrations/20261125101000_send_before.sql', '0b68c8462d8db667ea3bbc9acfe58d610ad21b06ba910a4687f6d520c221621c', '2026-11-28 19:35:56.879458+00');
INSERT INTO punctual.migrations VALUES (20261125101100, 'migrations/20261125101100_unfollowed.sql', 'a4070ddc92837d897b86a96dd62d4fdd088af90e7d1f066a1f71a237a8d9d1a1', '2026-11-28 19:35:56.899579+00');
INSERT INTO punctual.migrations VALUES (20261125101200, 'migrations/20261125101200_templates_named.sql', '9ad11c065cc428fa672bf4214b6c7a2348cb6aa2eb78fc89737f48e10393cc3c', '2026-11-28 19:35:56.903874+00');
INSERT INTO punctual.migrations VALUES (20261125101300, 'migrations/20261125101300_unfollowed_again.sql', '36ff510a311ed9da5b3bef7c6e8cbd0df7ce33613725b5ed19a53e475d588dff', '2026-11-28 19:35:56.927376+00');
INSERT INTO punctual.migrations VALUES (20261125103000, 'migrations/20261125103000_claims_of_people.sql', '5a49b42e3fcd15768f66524b37d69299ad78407d318d2aa0d39d479576311be3', '2026-11-28 19:35:56.940563+00');
INSERT INTO punctual.migrations VALUES (20261125103100, 'migrations/20261125103100_user_index.sql', '715b7099bc3a50effa460168ed6cbfac9395a295ada72c4cc4372df7fca14c67', '2026-11-28 19:35:56.95551+00');

INSERT INTO punctual.notes OVERRIDING SYSTEM VALUE VALUES (1, '00000000-0000-4000-8000-000000000002', '2026-11-20 10:30:00+00', 'the calendar event was moved; too late, it had been sent');

INSERT INTO punctual.outbox OVERRIDING SYSTEM VALUE VALUES (1, '00000000-0000-4000-8000-000000000002', '{}', 0, '2026-11-20 10:00:02+00', 'refused', '2026-11-20 10:00:02+00');

INSERT INTO punctual.receipts OVERRIDING SYSTEM VALUE VALUES (1, '00000000-0000-4000-8000-000000000002', '33333333-3333-4333-8333-333333333332', 'SM1', 'sent', NULL, 'advanced', NULL, '2026-11-20 10:00:02+00');

INSERT INTO punctual.settings VALUES (true, 'Europe/Berlin', NULL, '{}', '{}', '2026-11-20 09:00:00+00');

INSERT INTO punctual.suppressions OVERRIDING SYSTEM VALUE VALUES (1, NULL, '+15550100099', 'STOP', '2026-11-20 10:00:00+00');

INSERT INTO punctual.triggers VALUES ('triggers/attempts.sql', '92133e650967971b17701048c86106509f6e23a02ff9c89fe6f96ae4eaed5c75', '2026-11-28 19:35:56.958209+00');
INSERT INTO punctual.triggers VALUES ('triggers/scheduled_messages.sql', 'a538e328ad7ff4818a80550877057794394a0500d40d4dee6d490bb4b24c897c', '2026-11-28 19:35:56.964672+00');
INSERT INTO punctual.triggers VALUES ('triggers/task_calendar_events.sql', '6899e309baedea7a3927f7aafb8570570e830bdf99422b35953b0a0cb98864b6', '2026-11-28 19:35:56.971238+00');
INSERT INTO punctual.triggers VALUES ('triggers/user_sms_preferences.sql', 'c3276fbcbeab0813a976ad0539838c7c99b1db22cc9ba20a7e8fb615a4f75022', '2026-11-28 19:35:56.976175+00');

INSERT INTO punctual.unfollowed OVERRIDING SYSTEM VALUE VALUES ('00000000-0000-4000-8000-000000000004', 'event', '11111111-1111-4111-8111-111111111111', '2026-11-20 11:00:00+00', '2026-11-20 10:30:00+00', NULL, 1);

SELECT pg_catalog.setval('punctual.notes_id_seq', 1, true);

SELECT pg_catalog.setval('punctual.outbox_id_seq', 1, true);

SELECT pg_catalog.setval('punctual.receipts_id_seq', 1, true);

SELECT pg_catalog.setval('punctual.suppressions_id_seq', 1, true);

SELECT pg_catalog.setval('punctual.template_uses_id_seq', 1, false);

SELECT pg_catalog.setval('punctual.unfollowed_id_seq', 1, true);

ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduled_messages
    ADD CONSTRAINT scheduled_messages_pkey PRIMARY KEY (id);

ALTER TABLE public.sms_templates
    ADD CONSTRAINT sms_templates_max_length_punctual CHECK ((max_length > 0)) NOT VALID;

ALTER TABLE public.sms_templates
    ADD CONSTRAINT sms_templates_message_template_punctual CHECK ((message_template ~ '\S'::text)) NOT VALID;

ALTER TABLE ONLY public.sms_templates
    ADD CONSTRAINT sms_templates_pkey PRIMARY KEY (id);

ALTER TABLE public.sms_templates
    ADD CONSTRAINT sms_templates_template_key_punctual CHECK ((template_key ~ '^[a-z0-9_]+$'::text)) NOT VALID;

ALTER TABLE ONLY public.task_calendar_events
    ADD CONSTRAINT task_calendar_events_calendar_event_id_user_id_key UNIQUE (calendar_event_id, user_id);

ALTER TABLE ONLY public.task_calendar_events
    ADD CONSTRAINT task_calendar_events_pkey PRIMARY KEY (id);

ALTER TABLE public.task_calendar_events
    ADD CONSTRAINT task_calendar_events_sync_status_punctual CHECK ((sync_status = ANY (ARRAY['pending'::text, 'failed'::text, 'cancelled'::text, 'synced'::text]))) NOT VALID;

ALTER TABLE public.user_sms_preferences
    ADD CONSTRAINT user_sms_preferences_limit_punctual CHECK ((daily_sms_limit >= 0)) NOT VALID;

ALTER TABLE ONLY public.user_sms_preferences
    ADD CONSTRAINT user_sms_preferences_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.user_sms_preferences
    ADD CONSTRAINT user_sms_preferences_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY punctual.attempts
    ADD CONSTRAINT attempts_message_id_number_part_key UNIQUE (message_id, number, part);

ALTER TABLE punctual.attempts
    ADD CONSTRAINT attempts_outcome_check CHECK ((outcome = ANY (ARRAY['accepted'::text, 'refused'::text, 'throttled'::text, 'unsent'::text, 'unknown'::text, 'rejected'::text, 'cancelled'::text, 'returned'::text, 'deferred'::text]))) NOT VALID;

ALTER TABLE ONLY punctual.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (token);

ALTER TABLE ONLY punctual.daily_counts
    ADD CONSTRAINT daily_counts_pkey PRIMARY KEY (day, user_id);

ALTER TABLE ONLY punctual.days
    ADD CONSTRAINT days_pkey PRIMARY KEY (zone, starts);

ALTER TABLE ONLY punctual.gone_events
    ADD CONSTRAINT gone_events_pkey PRIMARY KEY (calendar_event_id, user_id);

ALTER TABLE ONLY punctual.instances
    ADD CONSTRAINT instances_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY punctual.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.receipts
    ADD CONSTRAINT receipts_token_provider_sid_status_key UNIQUE (token, provider_sid, status);

ALTER TABLE ONLY punctual.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (one);

ALTER TABLE ONLY punctual.suppressions
    ADD CONSTRAINT suppressions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.template_uses
    ADD CONSTRAINT template_uses_pkey PRIMARY KEY (id);

ALTER TABLE ONLY punctual.triggers
    ADD CONSTRAINT triggers_pkey PRIMARY KEY (name);

ALTER TABLE ONLY punctual.unfollowed
    ADD CONSTRAINT unfollowed_pkey PRIMARY KEY (id);

CREATE INDEX contacts_phone_number_idx ON public.contacts USING btree (phone_number);

CREATE INDEX conversations_phone_number_idx ON public.conversations USING btree (phone_number);

CREATE INDEX messages_twilio_sid_idx ON public.messages USING btree (twilio_sid);

CREATE UNIQUE INDEX scheduled_messages_dedup_key ON public.scheduled_messages USING btree (dedup_key) WHERE ((dedup_key IS NOT NULL) AND (status = ANY (ARRAY['pending'::text, 'sending'::text, 'unconfirmed'::text])));

CREATE INDEX scheduled_messages_due_idx ON public.scheduled_messages USING btree (GREATEST(scheduled_at, deferred_until, next_attempt_at)) WHERE (status = 'pending'::text);

CREATE INDEX scheduled_messages_event_idx ON public.scheduled_messages USING btree (calendar_event_id, user_id) WHERE (calendar_event_id IS NOT NULL);

CREATE INDEX scheduled_messages_open_idx ON public.scheduled_messages USING btree (status) WHERE (status = ANY (ARRAY['sending'::text, 'unconfirmed'::text]));

CREATE INDEX scheduled_messages_send_before_idx ON public.scheduled_messages USING btree (send_before) WHERE ((send_before IS NOT NULL) AND (status = 'pending'::text));

CREATE INDEX scheduled_messages_user_pending_idx ON public.scheduled_messages USING btree (user_id) WHERE ((user_id IS NOT NULL) AND (status = 'pending'::text));

CREATE UNIQUE INDEX sms_templates_template_key_idx ON public.sms_templates USING btree (template_key);

CREATE INDEX attempts_next_ask_idx ON punctual.attempts USING btree (outcome, next_ask_at) WHERE (next_ask_at IS NOT NULL);

CREATE INDEX attempts_open_idx ON punctual.attempts USING btree (lease_until) WHERE (outcome IS NULL);

CREATE UNIQUE INDEX attempts_provider_sid_key ON punctual.attempts USING btree (provider_sid) WHERE (provider_sid IS NOT NULL);

CREATE INDEX attempts_sought_idx ON punctual.attempts USING btree (sought_text) WHERE (sought_text IS NOT NULL);

CREATE INDEX notes_message_idx ON punctual.notes USING btree (message_id);

CREATE INDEX outbox_next_attempt_idx ON punctual.outbox USING btree (next_attempt_at);

CREATE INDEX receipts_message_idx ON punctual.receipts USING btree (message_id);

CREATE INDEX receipts_provider_sid_idx ON punctual.receipts USING btree (provider_sid);

CREATE UNIQUE INDEX suppressions_pair_key ON punctual.suppressions USING btree (their_number, COALESCE(our_number, ''::text));

CREATE INDEX unfollowed_message_idx ON punctual.unfollowed USING btree (message_id);

CREATE TRIGGER punctual_follow_event AFTER INSERT OR DELETE OR UPDATE ON public.task_calendar_events FOR EACH ROW EXECUTE FUNCTION punctual.follow_event();

CREATE TRIGGER punctual_guarded_delete AFTER DELETE ON public.scheduled_messages REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.guard_statement();

CREATE TRIGGER punctual_guarded_update AFTER UPDATE ON public.scheduled_messages REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.guard_statement();

CREATE TRIGGER punctual_notify_delete AFTER DELETE ON public.scheduled_messages REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.notify_change();

CREATE TRIGGER punctual_notify_insert AFTER INSERT ON public.scheduled_messages REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.notify_change();

CREATE TRIGGER punctual_notify_truncate AFTER TRUNCATE ON public.scheduled_messages FOR EACH STATEMENT EXECUTE FUNCTION punctual.notify_truncate();

CREATE TRIGGER punctual_notify_update AFTER UPDATE ON public.scheduled_messages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT WHEN ((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION punctual.notify_change();

CREATE TRIGGER punctual_opted_out AFTER INSERT OR UPDATE ON public.user_sms_preferences FOR EACH ROW EXECUTE FUNCTION punctual.opted_out();

CREATE TRIGGER zzz_punctual_guard_delete BEFORE DELETE ON public.scheduled_messages FOR EACH ROW WHEN (((old.status = 'sending'::text) AND (COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text))) EXECUTE FUNCTION punctual.guard_delete();

CREATE TRIGGER zzz_punctual_guard_insert BEFORE INSERT ON public.scheduled_messages FOR EACH ROW WHEN (((new.status IS DISTINCT FROM 'pending'::text) OR (new.attempts <> 0) OR (new.version <> 0) OR (new.next_attempt_at IS NOT NULL) OR (new.deferred_until IS NOT NULL) OR (new.requeued_at IS NOT NULL) OR (new.twilio_sid IS NOT NULL) OR (new.delivered_at IS NOT NULL))) EXECUTE FUNCTION punctual.guard_insert();

CREATE TRIGGER zzz_punctual_guard_update BEFORE UPDATE ON public.scheduled_messages FOR EACH ROW WHEN (((COALESCE(current_setting('punctual.writer'::text, true), ''::text) <> 'on'::text) OR (NOT (((old.status = 'pending'::text) AND (new.status = 'sending'::text)) OR ((old.status = 'sending'::text) AND (new.status = ANY (ARRAY['sent'::text, 'pending'::text, 'failed'::text]))))))) EXECUTE FUNCTION punctual.guard_update();

CREATE TRIGGER zzz_punctual_put_back BEFORE UPDATE ON public.scheduled_messages FOR EACH ROW WHEN (((old.status = ANY (ARRAY['failed'::text, 'cancelled'::text])) AND (new.status = 'pending'::text))) EXECUTE FUNCTION punctual.guard_put_back();

CREATE TRIGGER punctual_place_back BEFORE UPDATE ON punctual.attempts FOR EACH ROW WHEN (((new.day IS NOT NULL) AND (NOT new.gave_back) AND (new.outcome = ANY (ARRAY['refused'::text, 'throttled'::text, 'unsent'::text, 'rejected'::text, 'cancelled'::text, 'returned'::text, 'deferred'::text])))) EXECUTE FUNCTION punctual.place_back();

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_contact_id_fkey FOREIGN KEY (contact_id) REFERENCES public.contacts(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.scheduled_messages
    ADD CONSTRAINT scheduled_messages_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.scheduled_messages
    ADD CONSTRAINT scheduled_messages_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.profiles(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.scheduled_messages
    ADD CONSTRAINT scheduled_messages_template_id_fkey FOREIGN KEY (template_id) REFERENCES public.sms_templates(id) ON DELETE SET NULL;

REVOKE ALL ON FUNCTION punctual.cancel_reminders(ids uuid[], was timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.count_template_uses() FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.event_gone(event text, owner uuid, was timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.event_is(event text, owner uuid, starts timestamp with time zone, was timestamp with time zone, vars jsonb, revive boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.event_row(event text, owner uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.facts_of(ids uuid[], tokens uuid[], users uuid[], events text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.facts_of_templates(templates uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.follow_missed(most integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.hold_reminders(event text, owner uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.move_reminders(ids uuid[], starts timestamp with time zone, was timestamp with time zone, vars jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.note_reminders(event text, owner uuid, gone boolean, moved boolean, starts timestamp with time zone, was timestamp with time zone, vars jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.revive_reminders(event text, owner uuid, starts timestamp with time zone, was timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION punctual.templates_named(word text, most integer) FROM PUBLIC;

