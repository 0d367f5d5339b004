-- What the claim reads from the app's tables. Re-runnable; replaced as a whole.
--
-- Through functions, and not in the claim itself: the app may have other columns, of other types, and may
-- change them under a running daemon, and a view would prevent it from doing so. Each first reads the table as
-- it should be; if that fails, it reads row by row what is there. They run with their owner's rights, so the
-- daemon's role needs none on these tables. A conflicting lock is an error: the claim is retried.

create or replace function punctual.as_boolean(word text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when lower(word collate "C") in ('true', 't', 'yes', 'y', 'on', '1') then true
              when lower(word collate "C") in ('false', 'f', 'no', 'n', 'off', '0') then false end
$$;
create or replace function punctual.as_int(word text) returns int
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when word ~ '^-?[0-9]{1,9}$' then word::int end
$$;
create or replace function punctual.as_time(word text) returns time
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when word ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$' then word::time end
$$;
-- Only with an offset from UTC: without one it is ambiguous.
create or replace function punctual.as_instant(word text) returns timestamptz
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if word ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}.*([zZ]|[+-][0-9]{2}(:?[0-9]{2})?)$' then
    return word::timestamptz;
  end if;
  return null;
exception when data_exception then
  return null;
end
$$;

-- The type of a column that is used as a key, to be put into a statement; null: it cannot be used.
create or replace function punctual.key_type(tab text, col text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (select pg_catalog.format_type(a.atttypid, null)
            from pg_catalog.pg_attribute a
           where a.attrelid = to_regclass('public.' || tab) and a.attname = col and a.attnum > 0
             and not a.attisdropped and a.atttypid in ('uuid'::regtype, 'text'::regtype, 'pg_catalog.varchar'::regtype));
end
$$;

-- The time zones of these users in the app's own table of users, where that has such a column.
create or replace function punctual.zones_of_users(users uuid[]) returns table (user_id uuid, timezone text)
language plpgsql stable rows 1 set search_path = pg_catalog, pg_temp as $$
declare
  key constant text := punctual.key_type('users', 'id');
begin
  if key is null or punctual.columns_of('users', '{timezone}') = '{}' then
    return;
  end if;
  return query execute format(
    'select a.id, u.timezone::text from (select distinct unnest($1) as id) a
      cross join lateral (select o.timezone from public.users o where o.id = a.id::%s limit 1) u', key) using users;
end
$$;

-- One row for each requested message. The joins are made in here so that each uses an index: the claim's
-- session plans no other way.
create or replace function punctual.facts_of(ids uuid[], tokens uuid[], users uuid[], events text[])
returns table (id uuid, token uuid, user_id uuid, facts punctual.facts)
language plpgsql stable strict security definer rows 250 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  no_row constant text := 'select null::jsonb as row where false';
  -- By user. As a table it would be read once for each message.
  zones constant jsonb := (select jsonb_object_agg(z.user_id, z.timezone) from punctual.zones_of_users(users) z);
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
                 e.is_there, e.cancelled or g.user_id is not null, e.event_start,
                 p.phone_number, zones ->> a.user_id::text,
                 a.event is not null and exists (
                   select from punctual.planned d
                    where d.user_id = a.user_id and d.calendar_event_id = a.event and d.message_id = a.id)
             )::punctual.facts
        from unnest(ids, tokens, users, events) as a (id, token, user_id, event)
        left join lateral (
          select true as is_there, coalesce(p.phone_verified, false) as phone_verified,
                 coalesce(p.opted_out, false) as opted_out,
                 switched_off!(p) as off,
                 (date_part('epoch', p.quiet_hours_start::time) * 1000000)::bigint as quiet_start,
                 (date_part('epoch', p.quiet_hours_end::time) * 1000000)::bigint as quiet_end,
                 p.timezone::text as timezone, p.daily_sms_limit::int as daily_limit,
                 -- Most apps count nothing, and a call costs.
                 case when p.daily_sms_count::int > 0
                      then punctual.apps_count(a.user_id, p.daily_sms_count::int, p.daily_count_reset_at::timestamptz)
                      else 0 end as app_count,
                 p.daily_count_reset_at::timestamptz as app_reset_at,
                 p.phone_number::text as phone_number
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
        left join punctual.deleted_events g
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
                       from (values switches!()) as o (col, kind)
                      where not punctual.as_boolean(p.row ->> o.col)),
               (extract(epoch from punctual.as_time(p.row ->> 'quiet_hours_start')) * 1000000)::bigint,
               (extract(epoch from punctual.as_time(p.row ->> 'quiet_hours_end')) * 1000000)::bigint,
               p.row ->> 'timezone', punctual.as_int(p.row ->> 'daily_sms_limit'),
               punctual.apps_count(a.user_id, punctual.as_int(p.row ->> 'daily_sms_count'),
                                   punctual.as_instant(p.row ->> 'daily_count_reset_at')),
               punctual.as_instant(p.row ->> 'daily_count_reset_at'),
               e.row is not null, coalesce(e.row ->> 'sync_status' = 'cancelled', g.user_id is not null),
               punctual.as_instant(e.row ->> 'event_start'), p.row ->> 'phone_number', $5 ->> a.user_id::text,
               a.event is not null and exists (
                 select from punctual.planned d
                  where d.user_id = a.user_id and d.calendar_event_id = a.event and d.message_id = a.id))::punctual.facts
      from unnest($1, $2, $3, $4) as a (id, token, user_id, event)
      left join lateral (%s) p on true
      left join lateral (%s) e on true
      left join punctual.deleted_events g
        on e.row is null and g.calendar_event_id = a.event and g.user_id = a.user_id
    $q$, preferences, event) using ids, tokens, users, events, zones;
end
$$;

create or replace function punctual.facts_of_templates(templates uuid[])
returns table (id uuid, name text, message_template text, required_vars text, max_length int, is_active boolean)
language plpgsql stable strict security definer rows 10 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  key text;
begin
  begin
    return query
      select t.id::uuid, coalesce(t.template_key, t.name, t.id::text)::text, t.message_template::text,
             required_vars!(r), t.max_length::int, coalesce(t.is_active, true)
        from public.sms_templates t
       cross join lateral (select jsonb_build_object('required_vars', t.required_vars) as row) r
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
           required_vars!(r),
           punctual.as_int(r.row ->> 'max_length'),
           coalesce(punctual.as_boolean(r.row ->> 'is_active'), true)
      from (select to_jsonb(t) as row from public.sms_templates t where t.id = any ($1::%s[])) r
     where r.row ->> 'message_template' is not null
    $q$, key) using templates;
end
$$;

-- What e-mails of a template show in place of its text: the column html_template, where the app's table has one.
create or replace function punctual.html_of(template uuid) returns text
language plpgsql stable strict security definer set search_path = pg_catalog, pg_temp as $$
declare
  key constant text := punctual.key_type('sms_templates', 'id');
  html text;
begin
  if key is not null then
    execute format('select to_jsonb(t) ->> ''html_template'' from public.sms_templates t where t.id = $1::%s', key)
       into html using template;
  end if;
  return html;
end
$$;

-- Adds the uses of templates to the app's counts. With its owner's rights, so that the daemon's role needs no
-- right to write templates. A locked template is left for the next time. Its search_path has the app's tables, because
-- the app's own triggers run in here.
create or replace function punctual.count_template_uses() returns void
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  -- As many as a step may take; the rest comes with the next one, the oldest first.
  most constant int := 5000;
begin
  with due as (
    select u.id, u.template_id from punctual.template_uses u order by u.id limit most
  ), held as (
    select t.id from public.sms_templates t
     where t.id in (select d.template_id from due d)
     order by t.id
       for no key update skip locked
  ), taken as (
    delete from punctual.template_uses u using due, held
     where u.id = due.id and due.template_id = held.id
    returning u.template_id, u.uses, u.last_used_at
  )
  update public.sms_templates t
     set usage_count = coalesce(t.usage_count, 0) + s.uses,
         last_used_at = greatest(t.last_used_at, s.last_used_at)
    from (select template_id, sum(uses) as uses, max(last_used_at) as last_used_at from taken group by template_id) s
   where t.id = s.template_id;
  -- Uses of templates that are gone are not counted.
  delete from punctual.template_uses u
   where u.id in (select d.id from punctual.template_uses d order by d.id limit most)
     and not exists (select from public.sms_templates t where t.id = u.template_id);
-- The app's table has no such counts.
exception when syntax_error_or_access_rule_violation then
  delete from punctual.template_uses u
   where u.id in (select d.id from punctual.template_uses d order by d.id limit most);
end
$$;

-- The template of that key, or of that id, and others in case the name was mistyped: for `punctual schedule`,
-- whose role may have no right on the app's table. As the claim reads it (facts_of_templates).
create or replace function punctual.templates_named(word text, most int)
returns table (id uuid, name text, message_template text, required_vars text, max_length int, is_active boolean,
               is_it boolean)
language plpgsql stable strict security definer rows 10 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  if to_regclass('public.sms_templates') is null then
    return;
  end if;
  return query
    select (r.row ->> 'id')::uuid, coalesce(r.key, r.row ->> 'id'), r.row ->> 'message_template',
           required_vars!(r),
           punctual.as_int(r.row ->> 'max_length'), r.is_active, r.is_it
      from (select t.row, n.key, coalesce(punctual.as_boolean(t.row ->> 'is_active'), true) as is_active,
                   coalesce(n.key = word, false) or t.row ->> 'id' = lower(word collate "C") as is_it
              from (select to_jsonb(t) as row from public.sms_templates t) t
             cross join lateral (select coalesce(t.row ->> 'template_key', t.row ->> 'name') as key) n) r
     where r.row ->> 'message_template' is not null
       and r.row ->> 'id' ~ '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
     order by r.is_it desc, r.is_active desc, 2
     limit most;
end
$$;

-- What divides a text into parts, as the running daemon has it; empty: nothing does. Null: not known. For
-- `punctual schedule` and the API (rpc.sql), whose roles may have no right on the settings: for whoever can name it.
create or replace function punctual.part_separator() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select max(s.part_separator) from punctual.settings s
$$;

-- They run with their owner's rights, so not every role that can use the schema may call them.
revoke execute on function punctual.facts_of(uuid[], uuid[], uuid[], text[]), punctual.facts_of_templates(uuid[]),
                           punctual.html_of(uuid), punctual.templates_named(text, int),
                           punctual.count_template_uses()
  from PUBLIC;
grant execute on function punctual.part_separator() to PUBLIC;

-- What a role that may call facts_of_templates needs beside it, if an earlier version granted it that.
call punctual.grant_with('punctual.facts_of_templates(uuid[])', 'punctual.html_of(uuid)');
