-- What a herd of people's messages costs at the claim: the facts with less arithmetic, and an index
-- that a claimed row leaves and does not enter once more (made by the next file, for the drop shuts
-- writers out and may read nothing).

create or replace function punctual.facts_of(ids uuid[], tokens uuid[], users uuid[], events text[])
returns table (id uuid, token uuid, user_id uuid, facts punctual.facts)
language plpgsql stable strict security definer rows 250 set search_path = '' as $$
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
$$;

do $$
begin
  if pg_catalog.pg_has_role((select c.relowner from pg_catalog.pg_class c
                              where c.oid = 'public.scheduled_messages'::regclass), 'usage')
  then
    drop index if exists public.scheduled_messages_user_idx;
  end if;
end
$$;
