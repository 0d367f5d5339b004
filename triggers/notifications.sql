-- Notifications of users: an event, and in the same transaction what is sent of it to whom. Re-runnable; replaced as a
-- whole. The tables are those of preset `buildos`; docs/notifications.md.
--
--   emit_notification_event ─▶ notification_events ─▶ deliver_event ─▶ notification_deliveries ─▶ scheduled_messages
--   scheduled_messages ─▶ write_back ─▶ notification_deliveries (delivery_changed)
--
-- A delivery that is to be sent is a row of a source table (sources.sql), so its message is made, changed and
-- cancelled in the app's own statements, and outcomes are written to it after they are recorded. What can be decided
-- when the event is emitted is decided here, under a lock on the preferences of each user who limits or batches; quiet
-- hours hold at the moment of sending, so the claim asks for them (quiet_hours_of). Functions that name a table of the
-- preset are plpgsql: they exist without it.

-- ------------------------------------------------------------------- events

-- On notification_events: what has happened does not change. Deleted users leave it.
create or replace function punctual.event_is_kept() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_jsonb(new) - '{actor_user_id,target_user_id}'::text[] = to_jsonb(old) - '{actor_user_id,target_user_id}'::text[]
     and (new.actor_user_id is null or new.actor_user_id = old.actor_user_id)
     and (new.target_user_id is null or new.target_user_id = old.target_user_id)
  then
    return new;
  end if;
  raise exception using errcode = 'PT409', message = format('event %s has happened, and cannot be changed', old.id),
    hint = 'Emit another one.';
end
$$;

-- ------------------------------------------------------------ subscriptions

-- What is wrong with the filters of a subscription; null: nothing. Each names a field of the payload: with a value,
-- which the payload must contain, or with operators.
create or replace function punctual.filter_fault(filters jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when jsonb_typeof(filters) in ('object', 'null') then null else 'filters must be an object' end
  union all
  select case
           when f.key like '$%' then format('%s is no field of a payload', to_json(left(f.key, 60)))
           when not f.has_operators then
             case when exists (select from jsonb_path_query(f.value, 'strict $.**?(@.type() == "object").keyvalue()') k
                                where k ->> 'key' like '$%')
                  then format('the operators of %s must be directly below it', to_json(left(f.key, 60))) end
           else (select min(format('%s of %s is not understood', to_json(left(o.key, 60)), to_json(left(f.key, 60))))
                   from jsonb_each(f.value) o
                  where not case o.key when '$in' then jsonb_typeof(o.value) = 'array'
                                       when '$exists' then jsonb_typeof(o.value) = 'boolean'
                                       when '$ne' then true
                                       else o.key in ('$gt', '$gte', '$lt', '$lte')
                                            and jsonb_typeof(o.value) in ('number', 'string') end)
         end
    from (select e.key, e.value, jsonb_typeof(e.value) = 'object'
                                 and exists (select from jsonb_object_keys(case jsonb_typeof(e.value) when 'object' then e.value
                                                                                else '{}' end) k where k like '$%')
                                 as has_operators
            from jsonb_each(case jsonb_typeof(filters) when 'object' then filters else '{}' end) e) f
   order by 1 nulls last limit 1
$$;

-- Whether a payload is one that these filters want. What is not understood wants none.
create or replace function punctual.filter_holds(filters jsonb, payload jsonb) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select jsonb_typeof(filters) is null or jsonb_typeof(filters) = 'null'
      or punctual.filter_fault(filters) is null and not exists (
        select from jsonb_each(filters) f
         where not coalesce(
           case when jsonb_typeof(f.value) = 'object'
                     and exists (select from jsonb_each(f.value) o where o.key like '$%') then
             not exists (
               select from jsonb_each(f.value) o
                where not coalesce(
                  case o.key
                    when '$in' then exists (select from jsonb_array_elements(o.value) e where e = payload -> f.key)
                    when '$ne' then (payload -> f.key) is distinct from o.value
                    when '$exists' then (payload ? f.key) = o.value::boolean
                    else jsonb_typeof(payload -> f.key) = jsonb_typeof(o.value)
                         and case o.key when '$gt' then payload -> f.key > o.value when '$gte' then payload -> f.key >= o.value
                                        when '$lt' then payload -> f.key < o.value else payload -> f.key <= o.value end
                  end, false))
           else payload @> jsonb_build_object(f.key, f.value) end, false))
$$;

-- On notification_subscriptions: filters that are not understood are refused when they are written.
create or replace function punctual.check_filters() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  fault constant text := case when new.filters is not null then punctual.filter_fault(new.filters) end;
begin
  if fault is not null and (tg_op = 'INSERT' or new.filters is distinct from old.filters) then
    raise exception using errcode = 'PT422', message = format('the subscription cannot be filtered: %s', fault),
      hint = 'Each filter is a field of the payload with its value, or with {"$in": […]}, $ne, $gt, $gte, $lt, $lte or $exists.';
  end if;
  return new;
end
$$;

-- On notification_subscriptions: a subscription has preferences.
create or replace function punctual.default_preferences() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into public.user_notification_preferences (user_id, event_type) values (new.user_id, new.event_type)
  on conflict (user_id, event_type) do nothing;
  return null;
end
$$;

-- A time zone that this server knows.
create or replace function punctual.known_zone(zone text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform now() at time zone zone;
  return coalesce(zone, 'UTC');
exception when invalid_parameter_value then
  return 'UTC';
end
$$;

-- On user_notification_preferences.
create or replace function punctual.check_notification_preferences() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  fault text;
begin
  fault := case
    when new.batch_enabled and coalesce(new.batch_interval_minutes, 0) not between 1 and 10080
      then 'batch_interval_minutes must be from 1 to 10080 where batch_enabled is set'
    when new.max_per_hour < 0 or new.max_per_day < 0 then 'max_per_hour and max_per_day cannot be negative'
    when new.timezone is not null and (tg_op = 'INSERT' or new.timezone is distinct from old.timezone)
         and new.timezone <> 'UTC' and punctual.known_zone(new.timezone) = 'UTC' then 'timezone is not an IANA time zone' end;
  if fault is not null then
    raise exception using errcode = 'PT422', message = fault, hint = 'Nothing was written. Correct it.';
  end if;
  return new;
end
$$;

-- Subscribes these users, or all that the app has, to types of events; how many were not yet.
create or replace function punctual.subscribe_users(event_types text[], users uuid[]) returns bigint
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  added bigint;
begin
  insert into public.notification_subscriptions (user_id, event_type)
  select u.id, t.event_type
    from public.users u
   cross join (select distinct t from unnest(event_types) as t (t)) as t (event_type)
   where users is null or u.id = any (users)
  on conflict (user_id, event_type) do nothing;
  get diagnostics added = row_count;
  return added;
end
$$;

-- Whether a user is an administrator, for subscriptions that are for these only: in the app's table admin_users, or by
-- users.is_admin. Without either nobody is.
create or replace function punctual.is_admin(whose uuid) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  so boolean := false;
begin
  if punctual.key_type('admin_users', 'user_id') is not null then
    execute format('select exists (select from public.admin_users a where a.user_id = $1::%s)',
                   punctual.key_type('admin_users', 'user_id')) into so using whose;
  end if;
  if not so and punctual.key_type('users', 'id') is not null then
    execute format('select punctual.as_boolean(to_jsonb(u) ->> ''is_admin'') from public.users u where u.id = $1::%s',
                   punctual.key_type('users', 'id')) into so using whose;
  end if;
  return coalesce(so, false);
end
$$;

-- Where users can be reached, one row for each. The tables are first read as they should be, like those of a claim
-- (facts.sql).
create or replace function punctual.addresses_of(users uuid[])
returns table (user_id uuid, email text, number text, is_verified boolean, has_opted_out boolean)
language plpgsql stable rows 250 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  none constant text := 'select null::jsonb as row where false';
  of_users text;
  of_phones text;
begin
  begin
    return query
      select a.id, nullif(btrim(u.email::text), ''), nullif(btrim(p.phone_number::text), ''), coalesce(p.phone_verified, false),
             coalesce(p.opted_out, false)
        from unnest(users) as a (id)
        left join lateral (select o.email from public.users o where o.id = a.id limit 1) u on true
        left join lateral (
          select o.phone_number, o.phone_verified, o.opted_out from public.user_sms_preferences o where o.user_id = a.id
           order by o.opted_out desc nulls last limit 1) p on true;
    return;
  exception when syntax_error_or_access_rule_violation then
    of_users := punctual.key_type('users', 'id');
    of_phones := punctual.key_type('user_sms_preferences', 'user_id');
  end;
  return query execute format($q$
    select a.id, nullif(btrim(u.row ->> 'email'), ''), nullif(btrim(p.row ->> 'phone_number'), ''),
           coalesce(punctual.as_boolean(p.row ->> 'phone_verified'), false),
           coalesce(punctual.as_boolean(p.row ->> 'opted_out'), false)
      from unnest($1) as a (id)
      left join lateral (%s) u on true
      left join lateral (%s) p on true
    $q$,
    case when of_users is null then none
         else format('select to_jsonb(u) as row from public.users u where u.id = a.id::%s limit 1', of_users) end,
    case when of_phones is null then none
         else format('select to_jsonb(p) as row from public.user_sms_preferences p where p.user_id = a.id::%s
                       order by punctual.as_boolean(to_jsonb(p) ->> ''opted_out'') desc nulls last limit 1', of_phones) end)
    using users;
end
$$;

-- -------------------------------------------------------------------- texts

-- The templates that there are for a type of events and that are active, by their keys.
create or replace function punctual.templates_of(event_type text) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  key constant text := replace(event_type, '.', '_');
  names constant text[] := array(
    select key || n.rest
      from unnest('{"",_subject,_digest,_digest_subject,_push,_push_subject,_push_digest,_push_digest_subject,
                    _email,_email_subject,_email_digest,_email_digest_subject,_sms,_sms_subject,_sms_digest,_sms_digest_subject,
                    _in_app,_in_app_subject,_in_app_digest,_in_app_digest_subject}'::text[]) as n (rest));
begin
  begin
    return array(select t.template_key::text from public.sms_templates t
                  where t.template_key = any (names) and coalesce(t.is_active, true));
  exception when syntax_error_or_access_rule_violation then
    null;
  end;
  return array(
    select t.row ->> 'template_key'
      from (select to_jsonb(t) as row from public.sms_templates t) t
     where t.row ->> 'template_key' = any (names)
       and coalesce(punctual.as_boolean(t.row ->> 'is_active'), true));
end
$$;

-- What an event says on a channel: by the template of its type for the channel, else by that of its type, else by its
-- payload. Or why it says nothing.
create or replace function punctual.notification_text(event_type text, channel text, payload jsonb, known text[],
                                                     out template text, out subject text, out body text, out fault text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  key constant text := replace(event_type, '.', '_');
  heading text;
begin
  template := case when key || '_' || channel = any (known) then key || '_' || channel when key = any (known) then key end;
  body := coalesce(payload ->> 'body', payload ->> 'message', payload ->> 'text', payload ->> 'title');
  subject := left(coalesce(payload ->> 'subject', payload ->> 'title'), 255);
  if template is not null then
    body := punctual.render_for_app(template, payload || jsonb_build_object('event_type', event_type), '') ->> 'body';
  end if;
  heading := case when key || '_' || channel || '_subject' = any (known) then key || '_' || channel || '_subject'
                  when key || '_subject' = any (known) then key || '_subject' end;
  if heading is not null then
    subject := punctual.render_for_app(heading, payload || jsonb_build_object('event_type', event_type), '') ->> 'body';
  end if;
  if coalesce(btrim(body, white!()), '') = '' then
    fault := format('there is no text: neither a template %s, nor body, message, text or title in the payload', key);
  end if;
exception when sqlstate 'PT422' then
  fault := sqlerrm;
end
$$;

-- The same for each channel: one text, whoever it goes to.
create or replace function punctual.texts_of(event_type text, payload jsonb, known text[]) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  one jsonb;
begin
  -- What is in the payload is the same on each.
  if known = '{}' then
    one := to_jsonb(punctual.notification_text(event_type, 'sms', payload, known));
    return jsonb_build_object('push', one, 'email', one, 'sms', one, 'in_app', one);
  end if;
  return (select jsonb_object_agg(x.channel, to_jsonb(t))
            from (values ('push'), ('email'), ('sms'), ('in_app')) as x (channel)
           cross join lateral punctual.notification_text(event_type, x.channel, payload, known) t);
end
$$;

-- A text as a line of a digest: its first 120 characters, which end with a word. A link is there whole, or not at all:
-- half of one leads nowhere.
create or replace function punctual.digest_line(words text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when char_length(w.line) <= 120 then w.line
              -- The word in which it would be cut, if it is a link that is not too long.
              when l.link is not null and char_length(l.link) <= 160 then l.link
              when w.line ~ '^\S{121}' then case when w.line ~* '^https?://' then '' else left(w.line, 120) end
              else regexp_replace(left(w.line, 121), '\s\S*$', '') end
    from (select btrim(regexp_replace(words, '\s+', ' ', 'g')) as line) w
   cross join lateral (select substring(w.line from '(?i)^(.{0,119}https?://\S+)') as greedy) g
   cross join lateral (select case when char_length(g.greedy) > 120 then g.greedy end as link) l
$$;

-- What several events say together, of which these are the latest: `events` as the payload of their delivery has them.
create or replace function punctual.digest_text(event_type text, channel text, events jsonb, total int, known text[],
                                               out template text, out subject text, out body text, out fault text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  most constant int := 10;
  key constant text := replace(event_type, '.', '_');
  vars jsonb;
  heading text;
begin
  select string_agg('- ' || punctual.digest_line(e.value ->> 'text'), E'\n' order by e.n)
    into body
    from jsonb_array_elements(events) with ordinality as e (value, n) where e.n <= most;
  body := concat_ws(E'\n', body, case when total > most then format('and %s more', total - most) end);
  vars := coalesce(events -> -1 -> 'payload', '{}')
          || jsonb_build_object('count', total, 'lines', body, 'event_type', event_type);
  template := case when key || '_' || channel || '_digest' = any (known) then key || '_' || channel || '_digest'
                   when key || '_digest' = any (known) then key || '_digest' end;
  subject := format('%s notifications', total);
  if template is not null then
    body := punctual.render_for_app(template, vars, '') ->> 'body';
  end if;
  heading := case when key || '_' || channel || '_digest_subject' = any (known) then key || '_' || channel || '_digest_subject'
                  when key || '_digest_subject' = any (known) then key || '_digest_subject' end;
  if heading is not null then
    subject := punctual.render_for_app(heading, vars, '') ->> 'body';
  end if;
exception when sqlstate 'PT422' then
  fault := sqlerrm;
end
$$;

-- What a notification would say, for whoever writes templates. With a count, as a digest of so many.
create or replace function punctual.preview(event_type text, channel text, payload jsonb, total int) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  known constant text[] := punctual.templates_of(event_type);
  one record;
  all_of_it record;
begin
  if channel not in ('push', 'email', 'sms', 'in_app') or jsonb_typeof(payload) is distinct from 'object'
     or coalesce(total, 0) not between 1 and 1000000
  then
    raise exception using errcode = 'PT422', message = 'a preview needs a channel, a payload and a count',
      hint = 'The channel is push, email, sms or in_app, the payload an object, the count at least 1.';
  end if;
  select * into one from punctual.notification_text(event_type, channel, payload, known);
  if total > 1 and one.fault is null then
    select * into all_of_it
      from punctual.digest_text(event_type, channel, (
             select jsonb_agg(jsonb_build_object('payload', payload, 'text', one.body)) from generate_series(1, least(total, 100))),
             total, known);
    one := all_of_it;
  end if;
  return jsonb_build_object('ok', one.fault is null, 'template', one.template, 'subject', one.subject, 'body', one.body,
                            'fault', one.fault);
end
$$;

-- --------------------------------------------------------------------- emit

-- The open batches that an event at `at` joins, locked, with their messages: those that nobody has claimed. What the
-- caller has locked of the preferences keeps others from changing them.
create or replace function punctual.open_batches(kind text, users uuid[], at timestamptz) returns uuid[]
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  batches uuid[];
begin
  batches := array(
    select d.id
      from unnest(users) as u (id)
      join public.user_notification_preferences p on p.user_id = any (array[u.id]) and p.event_type = kind and p.batch_enabled
     cross join lateral (
       -- One for each address: an event is in one batch.
       select distinct on (d.channel, d.channel_identifier) d.id from public.notification_deliveries d
        where d.recipient_user_id = u.id and d.event_type = kind and d.channel in ('push', 'email', 'sms', 'in_app')
          and d.scheduled_for > at and d.status <> 'cancelled'
          and d.status = 'pending' and d.batched > 0 and d.batch_from <= at
        order by d.channel, d.channel_identifier, d.scheduled_for, d.id) d);
  if batches = '{}' then
    return batches;
  end if;
  perform from public.notification_deliveries d where d.id = any (batches) order by d.id for no key update;
  perform from public.scheduled_messages m
    where m.id = any (array(select r.message_id from punctual.source_rows r
                             where r.source = 'buildos_deliveries' and r.key = any (batches::text[])))
    order by m.id for no key update;
  return array(
    select b.id
      from unnest(batches) as b (id)
     cross join lateral (
       select o.status from public.notification_deliveries o where o.id = b.id offset 0) d
     cross join lateral (
       select r.message_id from punctual.source_rows r
        where r.source = 'buildos_deliveries' and r.key = b.id::text offset 0) r
     cross join lateral (
       select o.status, o.parts_done from public.scheduled_messages o where o.id = r.message_id offset 0) m
     where d.status = 'pending' and m.status = 'pending' and m.parts_done = 0);
end
$$;

-- An event as the payload of a batch has it. The first 100 are kept, and all are counted.
create or replace function punctual.with_event(payload jsonb, about jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
           'count', coalesce((payload ->> 'count')::int, 0) + 1,
           'events', case when jsonb_array_length(coalesce(payload -> 'events', '[]')) < 100
                          then coalesce(payload -> 'events', '[]') || jsonb_build_array(about) else payload -> 'events' end)
$$;

-- Adds an event to these batches. `texts`: what it says by each channel; `known`: the templates of its type.
create or replace function punctual.join_batches(event uuid, kind text, about jsonb, batches uuid[], texts jsonb, known text[])
returns void
language plpgsql set search_path = pg_catalog, 'public', pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
begin
  update public.notification_deliveries d
     set payload = n.payload, batched = n.total, subject = coalesce(t.subject, d.subject), body = coalesce(t.body, d.body),
         last_error = t.fault
    from unnest(batches) as b (id)
   cross join lateral (
     select o.channel, o.batched + 1 as total,
            punctual.with_event(o.payload, jsonb_build_object(
              'event_id', event, 'payload', about,
              'text', punctual.short_links(o.id, texts -> o.channel ->> 'body'))) as payload
       from public.notification_deliveries o where o.id = b.id offset 0) n
   cross join lateral punctual.digest_text(kind, n.channel, n.payload -> 'events', n.total, known) t
   where d.id = any (array[b.id]);
end
$$;

-- The text with its links shortened, if that is configured (links.sql).
create or replace function punctual.short_links(delivery uuid, body text) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  short text := body;
begin
  if body ~ 'https?://' and to_regprocedure('punctual.shorten_links(uuid, text)') is not null then
    execute 'select punctual.shorten_links($1, $2)' into short using delivery, body;
  end if;
  return short;
end
$$;

-- Whether a user is notified enough on a channel in the hour and on the day of `at`, by the clock of the zone. What was
-- cancelled does not count.
create or replace function punctual.is_enough(whose uuid, kind text, its_channel text, at timestamptz, zone text,
                                             per_hour int, per_day int) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
declare
  most int;
  unit text;
  opens timestamptz;
  closes timestamptz;
begin
  foreach unit in array array['hour', 'day'] loop
    most := case unit when 'hour' then per_hour else per_day end;
    continue when most is null;
    opens := date_trunc(unit, at, zone);
    closes := case unit when 'hour' then opens + interval '1 hour'
                        else (date_trunc('day', at at time zone zone) + interval '1 day') at time zone zone end;
    if (select count(distinct d.event_id) >= most
          from public.notification_deliveries d
         where d.recipient_user_id = whose and d.event_type = kind and d.channel = its_channel
           and d.scheduled_for >= opens and d.scheduled_for < closes and d.status <> 'cancelled')
    then
      return true;
    end if;
  end loop;
  return false;
end
$$;

-- Inserts the deliveries of an event with these texts, but those that have joined batches.
create or replace function punctual.insert_deliveries(event uuid, kind text, about jsonb, users uuid[], subscriptions uuid[],
                                                      at timestamptz, batches uuid[], texts jsonb) returns void
language plpgsql set search_path = pg_catalog, 'public', pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  emails text[];
  numbers text[];
  lacks text[];
begin
  -- In the order of the users, who are all there.
  select array_agg(a.email order by a.user_id), array_agg(a.number order by a.user_id),
         array_agg(case when a.number is null then 'no_address' when not a.is_verified then 'phone_not_verified'
                        when a.has_opted_out then 'opted_out' end order by a.user_id)
    into emails, numbers, lacks from punctual.addresses_of(users) a;
  insert into public.notification_deliveries
    (event_id, subscription_id, recipient_user_id, channel, channel_identifier, event_type, priority, subject, body, payload,
     scheduled_for, batched, batch_from, status, cancel_reason, cancelled_at, last_error)
  select event, s.subscription_id, s.user_id, c.channel, c.address, kind, p.priority, t.subject, t.body,
         case when w.is_batch
              then punctual.with_event(null, jsonb_build_object('event_id', event, 'payload', about, 'text', t.body))
              else about end,
         w.due, case when w.is_batch then 1 end, case when w.is_batch then at end,
         case when v.reason is null then 'pending' else 'cancelled' end, v.reason,
         case when v.reason is not null then clock_timestamp() end,
         case when v.reason = 'no_text' then t.fault end
    from unnest(users, subscriptions, emails, numbers, lacks) as s (user_id, subscription_id, email, number, number_lack)
   cross join lateral (
     select o.* from public.user_notification_preferences o where o.user_id = s.user_id and o.event_type = kind offset 0) p
   cross join lateral (
     select 'push' as channel, o.endpoint as address, null as lack
       from punctual_api.push_subscriptions o
      where coalesce(p.push_enabled, true) and o.user_id = s.user_id and o.ended_at is null
     union all
     select 'email', s.email, case when s.email is null then 'no_address' end where coalesce(p.email_enabled, true)
     union all
     select 'sms', s.number, s.number_lack where coalesce(p.sms_enabled, false)
     union all
     select 'in_app', s.user_id::text, null where coalesce(p.in_app_enabled, true)) c
   cross join lateral (
     select texts -> c.channel ->> 'subject' as subject, texts -> c.channel ->> 'body' as body,
            texts -> c.channel ->> 'fault' as fault) t
   cross join lateral (
     select b.is_batch, case when b.is_batch then at + p.batch_interval_minutes * interval '1 minute' else at end as due
       from (select coalesce(p.batch_enabled and p.batch_interval_minutes > 0, false) as is_batch) b) w
   cross join lateral (
     select case when c.lack is not null then c.lack
                 when t.fault is not null then 'no_text'
                 when num_nonnulls(p.max_per_hour, p.max_per_day) > 0
                      and punctual.is_enough(s.user_id, kind, c.channel, w.due, punctual.known_zone(p.timezone),
                                             p.max_per_hour, p.max_per_day) then 'frequency' end as reason) v
   where batches = '{}'
      or not exists (select from public.notification_deliveries d
                      where d.recipient_user_id = s.user_id and d.event_type = kind and d.channel = c.channel
                        and d.scheduled_for > at and d.status <> 'cancelled' and d.id = any (batches)
                        and d.channel_identifier is not distinct from c.address offset 0);
  if texts::text ~ 'https?://' and exists (select from punctual.settings s where s.link_url is not null) then
    update public.notification_deliveries d
       set body = l.body, payload = case when d.batched > 0 then jsonb_set(d.payload, '{events,0,text}', to_jsonb(l.body))
                                         else d.payload end
      from (select o.id, punctual.short_links(o.id, o.body) as body from public.notification_deliveries o
             where o.event_id = event and o.status = 'pending' and o.body ~ 'https?://' offset 0) l
     where d.id = any (array[l.id]) and d.body is distinct from l.body;
  end if;
end
$$;

-- Locks the preferences of those of these users who have limits or batches for a type, in the order of the users.
-- Before each the first that its user has: who emits several types to a user has locked that with the first of them, so
-- two that emit the same types in another order wait, one for the other, and neither for both.
create or replace function punctual.lock_preferences(kind text, users uuid[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
begin
  perform from public.user_notification_preferences p
    where p.id = any (array(
      select l.id
        from unnest(users) as u (id)
        join public.user_notification_preferences o on o.user_id = any (array[u.id]) and o.event_type = kind
       cross join lateral (
         select o.id
         union
         (select f.id from public.user_notification_preferences f where f.user_id = u.id order by f.event_type limit 1)) l
       where o.batch_enabled or num_nonnulls(o.max_per_hour, o.max_per_day) > 0))
    order by p.user_id, p.event_type for no key update;
end
$$;

-- Makes the deliveries of an event that is due at `at`: to its target, or to all who have subscribed. Its statements
-- are planned once, whatever the tables are like then.
create or replace function punctual.deliver_event(event uuid, kind text, about jsonb, target uuid, at timestamptz)
returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  users uuid[];
  subscriptions uuid[];
  is_counted boolean;
  batches uuid[] := '{}';
  known text[];
  texts jsonb;
begin
  if target is null then
    select array_agg(s.user_id order by s.user_id), array_agg(s.id order by s.user_id),
           bool_or(p.batch_enabled or num_nonnulls(p.max_per_hour, p.max_per_day) > 0)
      into users, subscriptions, is_counted
      from public.notification_subscriptions s
     cross join lateral (
       select o.batch_enabled, o.max_per_hour, o.max_per_day from public.user_notification_preferences o
        where o.user_id = s.user_id and o.event_type = kind offset 0) p
     where s.event_type = kind and coalesce(s.is_active, true)
       and (s.filters is null or punctual.filter_holds(s.filters, about))
       and (not coalesce(s.admin_only, false) or punctual.is_admin(s.user_id));
  else
    select array[s.user_id], array[s.id], p.batch_enabled or num_nonnulls(p.max_per_hour, p.max_per_day) > 0
      into users, subscriptions, is_counted
      from public.notification_subscriptions s
     cross join lateral (
       select o.batch_enabled, o.max_per_hour, o.max_per_day from public.user_notification_preferences o
        where o.user_id = s.user_id and o.event_type = kind offset 0) p
     -- By the user: there are many of a type.
     where s.user_id = target and s.event_type || '' = kind and coalesce(s.is_active, true)
       and (s.filters is null or punctual.filter_holds(s.filters, about))
       and (not coalesce(s.admin_only, false) or punctual.is_admin(s.user_id));
  end if;
  if users is null then
    return;
  end if;
  if is_counted then
    -- Others that emit to these users wait; afterwards what they have done is seen, in a snapshot of each statement.
    if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
      raise exception using errcode = 'PT422',
        message = format('%s has subscribers with limits or batches, which cannot be counted in this transaction', kind),
        hint = 'Emit it in a transaction of isolation level read committed.';
    end if;
    perform punctual.lock_preferences(kind, users);
    batches := punctual.open_batches(kind, users, at);
  end if;
  known := punctual.templates_of(kind);
  texts := punctual.texts_of(kind, about, known);
  if batches <> '{}' then
    perform punctual.join_batches(event, kind, about, batches, texts, known);
  end if;
  perform punctual.insert_deliveries(event, kind, about, users, subscriptions, at, batches, texts);
end
$$;

-- Emits an event, whoever asks: its callers have judged that.
create or replace function punctual.emit_event(event_type text, event_source text, actor uuid, target uuid, payload jsonb,
                                               metadata jsonb, due timestamptz) returns uuid
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  made uuid;
  fault text;
begin
  fault := case
    when event_type is null or event_type !~ '^[a-z_]+\.[a-z_]+$' then 'p_event_type must be like brief.completed'
    when event_source is null or event_source not in ('database_trigger', 'worker_job', 'api_action', 'cron_scheduler')
      then 'p_event_source must be database_trigger, worker_job, api_action or cron_scheduler'
    when jsonb_typeof(payload) is distinct from 'object' then 'p_payload must be an object'
    when not isfinite(due) then 'p_scheduled_for must be a time' end;
  if fault is not null then
    raise exception using errcode = 'PT422', message = fault, hint = 'Nothing was written. Correct it.';
  end if;
  insert into public.notification_events (event_type, event_source, actor_user_id, target_user_id, payload, metadata)
  values (emit_event.event_type, emit_event.event_source, emit_event.actor, emit_event.target, emit_event.payload,
          emit_event.metadata)
  returning id into made;
  perform punctual.deliver_event(made, event_type, payload, target, greatest(clock_timestamp(), due));
  return made;
end
$$;

-- The user of the request's JWT, where its role may act for nobody else; null: it may act for all. The app's own
-- triggers act for the app.
create or replace function punctual.only_user() returns uuid
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(nullif(current_setting('role', true), 'none'), session_user) not in ('anon', 'authenticated')
     or pg_trigger_depth() > 0
  then
    return null;
  end if;
  return coalesce((nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid,
                  '00000000-0000-0000-0000-000000000000');
end
$$;

-- ---------------------------------------------------------- jobs of the app
--
-- An app that emits events by a function of its own makes deliveries, and for each a job send_notification that names
-- it. Punctual sends such a delivery at the time of its job, and writes what becomes of it to the delivery and to the
-- job, which is a record of its source.

-- Has the delivery with this id sent at this time: with its address and its text, where it lacks them. Why it cannot
-- be, if so; null as well: there is none, or it has been sent.
create or replace function punctual.plan_delivery(delivery uuid, its_type text, at timestamptz) returns text
language plpgsql set search_path = pg_catalog, 'public', pg_temp as $$
declare
  d record;
  kind text;
  its_address text;
  said record;
  lack text;
begin
  select to_jsonb(o) as row, o.status, o.recipient_user_id as whose, o.channel, o.payload into d
    from public.notification_deliveries o where o.id = delivery for no key update;
  if not found or not (d.status in ('pending', 'failed', 'bounced')
                       or d.status = 'cancelled' and d.row ->> 'cancel_reason' in ('its job was cancelled', 'no_address', 'no_text')) then
    return null;
  end if;
  kind := coalesce(d.row ->> 'event_type', its_type,
                   (select e.event_type from public.notification_events e where e.id = (d.row ->> 'event_id')::uuid), '');
  select * into said from punctual.notification_text(kind, d.channel, coalesce(d.payload, '{}'), punctual.templates_of(kind));
  select coalesce(nullif(btrim(d.row ->> 'channel_identifier', white!()), ''),
                  case d.channel when 'email' then a.email when 'sms' then a.number when 'in_app' then d.whose::text end)
    into its_address from punctual.addresses_of(array[d.whose]) a;
  lack := case when its_address is null then 'no_address'
               when coalesce(btrim(d.row ->> 'body', white!()), '') = '' and said.fault is not null then 'no_text' end;
  update public.notification_deliveries o
     set status = case when lack is null then 'pending' else 'cancelled' end, cancel_reason = lack,
         last_error = case when lack = 'no_text' then said.fault end, event_type = nullif(kind, ''),
         channel_identifier = its_address, scheduled_for = at,
         subject = coalesce(o.subject, said.subject),
         body = coalesce(nullif(btrim(o.body, white!()), ''), punctual.short_links(o.id, said.body))
   where o.id = delivery;
  return case lack when 'no_text' then said.fault else lack end;
end
$$;

-- Has the delivery of a job sent at its time. A job whose delivery cannot be sent, or was sent or cancelled before, has
-- ended like it.
create or replace function punctual.plan_job(job uuid, delivery uuid, its_type text, at timestamptz) returns void
language plpgsql set search_path = pg_catalog, 'public', pg_temp as $$
declare
  lack constant text := punctual.plan_delivery(delivery, its_type, at);
  d record;
begin
  if lack is not null then
    perform punctual.job_write(job, jsonb_build_object('status', 'cancelled', 'error_message', lack));
    return;
  end if;
  select o.status, o.cancel_reason into d from public.notification_deliveries o where o.id = delivery and o.status <> 'pending';
  if found then
    perform punctual.job_write(job, case d.status
      when 'cancelled' then jsonb_build_object('status', 'cancelled', 'error_message', coalesce(d.cancel_reason, 'its delivery was cancelled'))
      else jsonb_build_object('status', 'completed', 'completed_at', clock_timestamp(), 'error_message', null) end);
  end if;
end
$$;

-- Has the deliveries of jobs sent that waited before the tables were followed, of as many as this past a key: the last
-- one, and how many there were. A worker's that is locked is the worker's.
create or replace function punctual.take_notification_jobs(past text, most int, out last_key text, out followed int)
language plpgsql set search_path = pg_catalog, 'public', pg_temp as $$
declare
  j record;
begin
  followed := 0;
  if not exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = to_regclass('public.queue_jobs') and t.tgname = 'punctual_notification') then
    return;
  end if;
  for j in
    select t.id, t.scheduled_for, t.metadata ->> 'event_type' as its_type, k.delivery
      from public.queue_jobs t
     cross join lateral (select punctual.source_key(t.metadata ->> 'delivery_id', 'uuid')::uuid as delivery offset 0) k
     where (past is null or t.id > past::uuid)
       and t.job_type::text = 'send_notification' and t.status::text in ('pending', 'retrying')
       and exists (select from public.notification_deliveries d
                    where d.id = k.delivery and d.status = 'pending' and d.scheduled_for is null)
     order by t.id limit most for no key update of t skip locked
  loop
    perform punctual.plan_job(j.id, j.delivery, j.its_type, j.scheduled_for);
    last_key := j.id;
    followed := followed + 1;
  end loop;
end
$$;

-- On queue_jobs: jobs send_notification. A worker of the app's that takes one takes its delivery too.
create or replace function punctual.notification_job() returns trigger
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  delivery constant uuid := punctual.source_key(new.metadata ->> 'delivery_id', 'uuid')::uuid;
  is_open constant boolean := new.status::text in ('pending', 'retrying');
  was_open constant boolean := tg_op = 'UPDATE' and old.status::text in ('pending', 'retrying');
begin
  -- What a daemon writes follows the delivery, and so does what is written here.
  if delivery is null or punctual.source_own()::jsonb -> 'buildos_deliveries' ? delivery::text
     or coalesce(current_setting('punctual.job_call', true), '') = new.id::text
     or not exists (select from punctual.sources s where s.name = 'buildos_deliveries')
  then
    return null;
  end if;
  if is_open and not (was_open and new.scheduled_for = old.scheduled_for) then
    perform punctual.plan_job(new.id, delivery, new.metadata ->> 'event_type', new.scheduled_for);
  elsif was_open and new.status::text = 'cancelled' then
    update public.notification_deliveries d set status = 'cancelled', cancel_reason = 'its job was cancelled'
     where d.id = delivery and d.status = 'pending';
  elsif was_open and not is_open then
    update public.notification_deliveries d set scheduled_for = null
     where d.id = delivery and d.status = 'pending' and d.scheduled_for is not null;
    if exists (select from punctual.source_rows r join public.scheduled_messages m on m.id = any (array[r.message_id])
                where r.source = 'buildos_deliveries' and r.key = delivery::text
                  and m.status in ('sending', 'sent', 'delivered', 'unconfirmed'))
    then
      raise exception using errcode = 'PT409', message = format('job %s: its delivery is being sent, or was', new.id),
        hint = 'Punctual sends it, and writes to the job what becomes of it: let no worker take these jobs.';
    end if;
  end if;
  return null;
end
$$;

-- The jobs that wait for a delivery which the app cancels are cancelled too. One that is locked is about to be changed
-- by whoever has it.
create or replace function punctual.end_delivery_jobs(delivery uuid, reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  job uuid;
begin
  if not exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = to_regclass('public.queue_jobs') and t.tgname = 'punctual_notification') then
    return;
  end if;
  for job in
    select j.id from public.queue_jobs j
     where (j.metadata ->> 'delivery_id') = delivery::text and j.job_type::text = 'send_notification'
       and j.status::text in ('pending', 'retrying')
       for no key update skip locked
  loop
    perform punctual.job_write(job, jsonb_build_object('status', 'cancelled', 'error_message', coalesce(reason, 'its delivery was cancelled')));
  end loop;
end
$$;

revoke execute on function punctual.end_delivery_jobs(uuid, text) from PUBLIC;

-- Has these jobs noticed, once there are both tables: what preset `buildos` calls.
create or replace procedure punctual.offer_notification_jobs()
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_regclass('public.notification_deliveries') is null
     or (select count(*) from pg_catalog.pg_class c
           join pg_catalog.pg_attribute a on a.attrelid = c.oid and not a.attisdropped
                                         and a.attname in ('job_type', 'status', 'scheduled_for', 'metadata')
          where c.oid = to_regclass('public.queue_jobs') and c.relkind = 'r'
            and pg_catalog.pg_has_role(c.relowner, 'usage')) < 4
     or exists (select from pg_catalog.pg_trigger t
                 where t.tgrelid = to_regclass('public.queue_jobs') and t.tgname = 'punctual_notification')
  then
    return;
  end if;
  -- By another spelling than those that are always there.
  execute $make$create trigger punctual_notification
    after insert or update of status, scheduled_for on public.queue_jobs for each row
    when (new.job_type::text = 'send_notification')
    execute function punctual.notification_job()$make$;
end
$$;

-- ----------------------------------------------------------------- progress

-- On notification_deliveries, before an update by anyone: how far it has come never goes back. An e-mail that its
-- server has refused for good has bounced. What write_back writes may become another word here, which it then notes as
-- its own (source_own).
create or replace function punctual.delivery_changed() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  steps constant text[] := '{sent,delivered,opened,clicked}';
  was constant int := array_position(steps, old.status);
  written constant text := new.status;
  own jsonb;
begin
  new.opened_at := coalesce(old.opened_at, new.opened_at, new.clicked_at);
  new.clicked_at := coalesce(old.clicked_at, new.clicked_at);
  if new.status is distinct from old.status then
    if new.status = 'failed' and new.channel = 'email' and new.error_code between 500 and 599 then
      new.status := 'bounced';
    end if;
    if was > coalesce(array_position(steps, new.status), case when was > 2 and new.status <> 'cancelled' then 0 end) then
      new.status := old.status;
    elsif new.status in ('sent', 'delivered') then
      new.status := case when new.clicked_at is not null then 'clicked' when new.opened_at is not null then 'opened'
                         else new.status end;
    end if;
  end if;
  if new.status = any (steps) then
    new.sent_at := coalesce(new.sent_at, old.sent_at, clock_timestamp());
    new.delivered_at := coalesce(new.delivered_at, old.delivered_at,
                                 case when written = 'delivered' then clock_timestamp() end);
    new.opened_at := coalesce(new.opened_at, case when new.status in ('opened', 'clicked') then clock_timestamp() end);
    new.clicked_at := coalesce(new.clicked_at, case when new.status = 'clicked' then clock_timestamp() end);
  elsif new.status in ('failed', 'bounced') then
    new.failed_at := coalesce(new.failed_at, clock_timestamp());
  elsif new.status = 'cancelled' then
    new.cancelled_at := coalesce(new.cancelled_at, clock_timestamp());
    new.cancel_reason := coalesce(new.cancel_reason, new.last_error);
    -- Of what a daemon has cancelled it writes the outcome to the jobs itself.
    if old.status <> 'cancelled' and (punctual.source_own()::jsonb -> 'buildos_deliveries' ? old.id::text) is not true then
      perform punctual.end_delivery_jobs(old.id, new.cancel_reason);
    end if;
  elsif old.status <> 'pending' then
    new.failed_at := null;
    new.cancelled_at := null;
    new.cancel_reason := null;
  end if;
  if new.status <> written and current_setting('punctual.written_back', true) <> '' then
    own := current_setting('punctual.written_back')::jsonb;
    if own -> 'buildos_deliveries' ->> old.id::text = written then
      own := jsonb_set(own, array['buildos_deliveries', old.id::text], to_jsonb(new.status));
      perform set_config('punctual.written_back', own::text, true);
    end if;
  end if;
  new.updated_at := clock_timestamp();
  return new;
end
$$;

-- Notes that a delivery was opened or clicked, once; whether that was new. What has not been sent cannot be: of what is
-- being sent the time is kept, and the word follows with its outcome.
create or replace function punctual.delivery_progress(delivery uuid, word text, at timestamptz default clock_timestamp())
returns boolean
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  d record;
  its_status text;
begin
  if coalesce(word, '') not in ('opened', 'clicked') then
    raise exception using errcode = 'PT422', message = 'a delivery is opened or clicked',
      hint = 'What becomes of its message is written by Punctual.';
  elsif to_regclass('public.notification_deliveries') is null then
    return false;
  end if;
  select o.id, o.status, o.opened_at, o.clicked_at into d from public.notification_deliveries o
   where o.id = delivery for no key update;
  if not found or d.status = 'cancelled' or d.clicked_at is not null or word = 'opened' and d.opened_at is not null then
    return false;
  end if;
  select m.status into its_status
    from punctual.source_rows r join public.scheduled_messages m on m.id = any (array[r.message_id])
   where r.source = 'buildos_deliveries' and r.key = delivery::text;
  if d.status = 'pending' and coalesce(its_status, 'pending') = 'pending' then
    return false;
  end if;
  begin
    update public.notification_deliveries o
       set opened_at = coalesce(o.opened_at, at), clicked_at = case word when 'clicked' then at else o.clicked_at end,
           status = case when o.status in ('sent', 'delivered', 'opened') then word else o.status end
     where o.id = delivery;
  exception when sqlstate 'PT409' then
    update public.notification_deliveries o
       set opened_at = coalesce(o.opened_at, at), clicked_at = case word when 'clicked' then at else o.clicked_at end
     where o.id = delivery;
  end;
  return true;
end
$$;

-- For an app that sends its texts itself: writes what the provider reports of one to its record and to its delivery, in
-- one statement's transaction, and neither goes back.
create or replace function punctual.sms_status(message uuid, sid text, word text, mapped text, code int, said text)
returns table (notification_delivery_id uuid, user_id uuid, sent_at timestamptz, delivered_at timestamptz, attempt_count int,
               max_attempts int, priority text, updated_sms boolean, updated_delivery boolean)
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
#variable_conflict use_column
declare
  steps constant text[] := '{pending,scheduled,queued,sending,sent}';
  s record;
  its_delivery uuid;
  did_delivery boolean := false;
begin
  if coalesce(mapped, '') not in ('pending', 'scheduled', 'queued', 'sending', 'sent', 'delivered', 'failed', 'undelivered',
                                  'cancelled') then
    raise exception using errcode = 'PT422', message = 'p_mapped_status is not a status of sms_messages',
      hint = 'It is queued, sending, sent, delivered, failed, undelivered or cancelled.';
  end if;
  select o.id, o.status::text as status, o.notification_delivery_id as delivery into s
    from public.sms_messages o
   where o.id = message and (o.twilio_sid is null or o.twilio_sid = sid) for no key update;
  if not found then
    return;
  end if;
  its_delivery := s.delivery;
  updated_sms := s.status = any (steps)
                 and coalesce(array_position(steps, mapped) >= array_position(steps, s.status), true);
  if updated_sms then
    update public.sms_messages o
       set status = mapped::public.sms_status, twilio_sid = coalesce(sid, o.twilio_sid), twilio_status = word,
           twilio_error_code = code, twilio_error_message = said,
           sent_at = coalesce(o.sent_at, case when mapped in ('sent', 'delivered') then clock_timestamp() end),
           delivered_at = case mapped when 'delivered' then clock_timestamp() else o.delivered_at end,
           updated_at = clock_timestamp()
     where o.id = message;
    update public.notification_deliveries d
       set status = n.status, external_id = coalesce(sid, d.external_id),
           last_error = case n.status when 'failed'
                          then coalesce(said || coalesce(' (Code: ' || code || ')', ''), 'error code: ' || code)
                          else d.last_error end
      from (select case when mapped in ('sending', 'sent') then 'sent' when mapped = 'delivered' then 'delivered'
                        when mapped in ('failed', 'undelivered', 'cancelled') then 'failed' else 'pending' end as status) n
     where d.id = its_delivery and (d.status = 'pending' or n.status <> 'pending') and d.status <> 'cancelled';
    did_delivery := found;
  end if;
  return query
    select its_delivery, o.user_id, o.sent_at, o.delivered_at, o.attempt_count, o.max_attempts, o.priority::text,
           updated_sms, did_delivery
      from public.sms_messages o where o.id = message;
end
$$;

-- ---------------------------------------------------------------- the claim

-- The quiet hours that a user has for a type of events: their beginning and end, in microseconds since midnight, and
-- the zone. Null: none.
create or replace function punctual.quiet_hours_of(whose uuid, kind text) returns text[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if to_regclass('public.user_notification_preferences') is null then
    return null;
  end if;
  return (select array[(date_part('epoch', p.quiet_hours_start::time) * 1000000)::bigint::text,
                       (date_part('epoch', p.quiet_hours_end::time) * 1000000)::bigint::text, p.timezone::text]
            from public.user_notification_preferences p
           where p.user_id = whose and p.event_type = kind and p.quiet_hours_enabled
             and p.quiet_hours_start is not null and p.quiet_hours_end is not null
           limit 1);
-- A table of the app's with other columns has none of these hours.
exception when syntax_error_or_access_rule_violation or data_exception then
  return null;
end
$$;

-- ------------------------------------------------------------------ the app

-- What the app calls, in the schema of its tables: the name, whether its users may, and the text.
create or replace function punctual.notification_offers() returns table (name text, for_users boolean, make text)
language sql immutable set search_path = pg_catalog, pg_temp as $offers$
  values
  ('emit_notification_event', true, $make$
create or replace function public.emit_notification_event(
  p_event_type text, p_event_source text default 'api_action', p_actor_user_id uuid default null,
  p_target_user_id uuid default null, p_payload jsonb default '{}', p_metadata jsonb default '{}',
  p_scheduled_for timestamptz default null) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $made$
declare
  own constant uuid := punctual.only_user();
begin
  if own is not null
     and (p_target_user_id is distinct from own or p_actor_user_id is not null and p_actor_user_id <> own)
  then
    raise exception using errcode = '42501', message = 'a user may emit events only to themselves',
      hint = 'Give your own id as p_target_user_id, or emit it by the service role.';
  end if;
  return punctual.emit_event(p_event_type, p_event_source, p_actor_user_id, p_target_user_id, coalesce(p_payload, '{}'),
                             p_metadata, p_scheduled_for);
end
$made$$make$),
  ('mark_opened', true, $make$
create or replace function public.mark_opened(p_delivery_id uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $made$
declare
  own constant uuid := punctual.only_user();
begin
  return exists (select from public.notification_deliveries d
                  where d.id = p_delivery_id and (own is null or d.recipient_user_id = own))
     and punctual.delivery_progress(p_delivery_id, 'opened');
end
$made$$make$),
  ('subscribe_to_notifications', false, $make$
create or replace function public.subscribe_to_notifications(
  p_event_types text[] default '{brief.completed,brief.failed}', p_user_ids uuid[] default null) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp as $made$
  select punctual.subscribe_users(p_event_types, p_user_ids)
$made$$make$),
  ('preview_notification', false, $make$
create or replace function public.preview_notification(
  p_event_type text, p_channel text, p_payload jsonb default '{}', p_count int default 1) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $made$
  select punctual.preview(p_event_type, p_channel, p_payload, p_count)
$made$$make$),
  ('update_sms_status_atomic', false, $make$
create or replace function public.update_sms_status_atomic(
  p_message_id uuid, p_twilio_sid text, p_twilio_status text, p_mapped_status text, p_error_code int default null,
  p_error_message text default null)
returns table (notification_delivery_id uuid, user_id uuid, sent_at timestamptz, delivered_at timestamptz, attempt_count int,
               max_attempts int, priority text, updated_sms boolean, updated_delivery boolean)
language sql security definer set search_path = pg_catalog, pg_temp as $made$
  select * from punctual.sms_status(p_message_id, p_twilio_sid, p_twilio_status, p_mapped_status, p_error_code, p_error_message)
$made$$make$)
$offers$;

-- Makes them, where the app has none of that name: for the service role, two also for users, and for no stranger.
create or replace function punctual.offer_notifications() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  offered record;
  made regprocedure;
begin
  for offered in select o.* from punctual.notification_offers() o where punctual.may_offer(o.name) loop
    execute offered.make;
    select p.oid::regprocedure into made from pg_catalog.pg_proc p
     where p.pronamespace = to_regnamespace(quote_ident('public')) and p.proname = offered.name;
    call punctual.offer(made, offered.for_users);
  end loop;
end
$$;

-- Of a table that Punctual has made: users see their own rows, by this column, and change these columns of them.
-- Without a column they see none, as strangers do. Where there are such roles its policies hold at once.
create or replace function punctual.own_rows(tab text, col text, updates text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  is_own constant text :=
    format('%I = (select (nullif(current_setting(''request.jwt.claims'', true), '''')::json ->> ''sub'')::uuid)', coalesce(col, ''));
  grantee name;
begin
  if col is not null then
    execute format('create policy "punctual own rows" on public.%I for select using (%s)', tab, is_own);
  end if;
  if updates <> '{}' then
    execute format('create policy "punctual own changes" on public.%I for update using (%2$s) with check (%2$s)', tab, is_own);
  end if;
  for grantee in select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role') loop
    execute format('alter table public.%I enable row level security', tab);
    execute format('revoke all on public.%I from %I', tab, grantee);
    if grantee = 'service_role' then
      execute format('grant select, insert, update, delete on public.%I to %I', tab, grantee);
    elsif grantee = 'authenticated' and col is not null then
      execute format('grant select%s on public.%I to %I',
                     (select format(', update (%s)', string_agg(format('%I', u), ', ')) from unnest(updates) u
                      having count(*) > 0), tab, grantee);
    end if;
  end loop;
end
$$;

revoke execute on function punctual.default_preferences(), punctual.subscribe_users(text[], uuid[]),
                           punctual.preview(text, text, jsonb, int), punctual.addresses_of(uuid[]), punctual.is_admin(uuid),
                           punctual.emit_event(text, text, uuid, uuid, jsonb, jsonb, timestamptz),
                           punctual.deliver_event(uuid, text, jsonb, uuid, timestamptz),
                           punctual.delivery_progress(uuid, text, timestamptz),
                           punctual.sms_status(uuid, text, text, text, int, text), punctual.quiet_hours_of(uuid, text),
                           punctual.offer_notifications(), punctual.own_rows(text, text, text[]),
                           punctual.notification_job(), punctual.plan_job(uuid, uuid, text, timestamptz),
                           punctual.take_notification_jobs(text, int)
  from PUBLIC;
revoke execute on procedure punctual.offer_notification_jobs() from PUBLIC;

-- Of earlier versions.
drop function if exists punctual.join_batches(uuid, text, jsonb, uuid[]);
drop function if exists punctual.insert_deliveries(uuid, text, jsonb, uuid[], uuid[], timestamptz, uuid[]);

-- What a role that may read facts needs beside it, if an earlier version granted it that.
call punctual.grant_with('punctual.facts_of(uuid[], uuid[], uuid[], text[])', 'punctual.quiet_hours_of(uuid, text)');

-- Those of an earlier version are replaced.
do $$
begin
  if to_regclass('public.notification_deliveries') is not null
     and exists (select from punctual.sources s where s.name = 'buildos_deliveries')
  then
    perform punctual.offer_notifications();
    call punctual.offer_notification_jobs();
  end if;
end
$$;
