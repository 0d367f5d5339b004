-- The planner of reminders: what it reads of the app's tables, and how it learns of their changes. Re-runnable;
-- replaced as a whole. It decides in src/plan/reminders.rs, and writes in src/store/app/planner.rs.
--
-- Its triggers are there only while it is on (planner_watch, called by `punctual migrate`). They note whose day is
-- to be looked at again, in a table of their own, so they wait for no lock. They run in the app's statements and
-- cannot fail: an error becomes a warning.

-- What of a row decides about reminders, its user first; null: nothing.
create or replace function punctual.planner_key(kind text, it jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return case kind
           -- Of today, wherever that is, with the longest lead.
           when 'event' then
             case when it ->> 'sync_status' = 'synced'
                       and punctual.as_instant(it ->> 'event_start') between now() - interval '1 hour' and now() + interval '51 hours'
                  then jsonb_build_array(it -> 'user_id', it -> 'calendar_event_id', it -> 'event_start', it -> 'event_end',
                                         it -> 'is_all_day', it -> 'occurrence', it -> 'recurrence_instance_date') end
           when 'user' then jsonb_build_array(it -> 'id', it -> 'timezone')
           else jsonb_build_array(it -> 'user_id', it -> 'phone_number', it -> 'phone_verified', it -> 'opted_out',
                                  it -> 'event_reminders_enabled', it -> 'timezone', it -> 'event_reminder_lead_time_minutes',
                                  it -> 'quiet_hours_start', it -> 'quiet_hours_end', it -> 'daily_sms_limit')
         end;
end
$$;

-- With its owner's rights: the app's roles have none on schema punctual.
create or replace function punctual.planner_note() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  kind constant text := tg_argv[0];
  uuid_like constant text := '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$';
  changed bigint;
begin
  if restoring!() then
    return null;
  end if;
  if tg_op = 'INSERT' then
    insert into punctual.planner_changes (user_id)
    select distinct (k.key ->> 0)::uuid from (select punctual.planner_key(kind, to_jsonb(n)) as key from new_rows n offset 0) k
     where k.key ->> 0 ~ uuid_like;
  elsif tg_op = 'DELETE' then
    insert into punctual.planner_changes (user_id)
    select distinct (k.key ->> 0)::uuid from (select punctual.planner_key(kind, to_jsonb(o)) as key from old_rows o offset 0) k
     where k.key ->> 0 ~ uuid_like;
  else
    -- What is in one of the two and not in the other has changed.
    insert into punctual.planner_changes (user_id)
    select distinct (k.key ->> 0)::uuid
      from ((select punctual.planner_key(kind, to_jsonb(n)) as key from new_rows n
             except select punctual.planner_key(kind, to_jsonb(o)) from old_rows o)
            union all
            (select punctual.planner_key(kind, to_jsonb(o)) from old_rows o
             except select punctual.planner_key(kind, to_jsonb(n)) from new_rows n)) k
     where k.key ->> 0 ~ uuid_like;
  end if;
  get diagnostics changed = row_count;
  if changed > 0 and may_notify!() then
    perform pg_notify('punctual', 'plan');
  end if;
  return null;
exception when others then
  raise warning 'reminders are not planned again before the next midnight of their users: SQLSTATE %', sqlstate;
  return null;
end
$$;

-- The app's tables that it watches, and what their rows are.
create or replace function punctual.planner_tables() returns table (tab text, kind text)
language sql immutable rows 3 set search_path = pg_catalog, pg_temp as $$
  values ('task_calendar_events', 'event'), ('user_sms_preferences', 'preferences'), ('users', 'user')
$$;

-- Watches one of them, or no longer: the planner is switched on or off. One table in a transaction, because no
-- other of Punctual's locks two of the app's.
create or replace function punctual.planner_watch(tab text, is_on boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  it constant regclass := to_regclass(format('public.%I', tab));
  trigger_of record;
begin
  if it is null then
    return;
  end if;
  for trigger_of in
    select 'punctual_plan_' || lower(o.op) as name, o.op, o.rows, t.kind,
           exists (select from pg_catalog.pg_trigger g where g.tgrelid = it and g.tgname = 'punctual_plan_' || lower(o.op)) as there
      from punctual.planner_tables() t
     cross join (values ('INSERT', 'referencing new table as new_rows'), ('DELETE', 'referencing old table as old_rows'),
                        ('UPDATE', 'referencing old table as old_rows new table as new_rows')) as o (op, rows)
     where t.tab = planner_watch.tab
  loop
    if is_on and not trigger_of.there then
      execute format('create trigger %I after %s on %s %s for each statement execute function punctual.planner_note(%L)',
                     trigger_of.name, trigger_of.op, it, trigger_of.rows, trigger_of.kind);
    elsif not is_on and trigger_of.there then
      execute format('drop trigger %I on %s', trigger_of.name, it);
    end if;
  end loop;
end
$$;

-- Why the planner cannot work with the app's tables; empty: it can.
create or replace function punctual.planner_lacks() returns text[]
language sql stable set search_path = pg_catalog, pg_temp as $$
  select array(
    select format('%s.%s must be a column of type %s', w.tab, w.col, array_to_string(w.types, ' or '))
      from (values ('task_calendar_events', 'calendar_event_id', '{text,character varying,uuid}'::text[]),
                   ('task_calendar_events', 'user_id', '{uuid,text,character varying}'),
                   ('task_calendar_events', 'event_start', '{timestamp with time zone}'),
                   ('task_calendar_events', 'sync_status', null),
                   ('user_sms_preferences', 'user_id', '{uuid,text,character varying}'),
                   ('user_sms_preferences', 'phone_number', null), ('user_sms_preferences', 'phone_verified', null),
                   ('user_sms_preferences', 'event_reminders_enabled', null)) as w (tab, col, types)
     where not exists (
       select from pg_catalog.pg_attribute a
        where a.attrelid = to_regclass('public.' || w.tab) and a.attname = w.col and a.attnum > 0 and not a.attisdropped
          and (w.types is null or pg_catalog.format_type(a.atttypid, null) = any (w.types)))
     order by 1)
$$;

-- Whether no index finds an event by its id. Each claim of a reminder and each plan looks for one.
create or replace function punctual.lacks_event_index() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_catalog.pg_class c
                  where c.oid = to_regclass('public.task_calendar_events') and c.relkind = 'r')
     and not exists (
       select from pg_catalog.pg_index i
        cross join lateral (
          select array_agg(a.attname::text order by k.n) as cols
            from unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
            left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
           where k.n <= 2) it
        where i.indrelid = to_regclass('public.task_calendar_events') and i.indisvalid and i.indpred is null
          and (it.cols[1] = 'calendar_event_id' or it.cols @> '{user_id,calendar_event_id}'))
$$;

-- Switches it, after the tables are watched, or not any more. All users are looked at again; what was planned stays
-- known.
create or replace function punctual.planner_switch(wanted boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if wanted then
    insert into punctual.planner_users (user_id, at)
    select distinct p.user_id::text::uuid, clock_timestamp()
      from public.user_sms_preferences p
     where punctual.as_boolean(p.event_reminders_enabled::text)
       and p.user_id::text ~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$'
    on conflict (user_id) do update set at = least(punctual.planner_users.at, excluded.at);
  else
    delete from punctual.planner_users;
    delete from punctual.planner_changes;
  end if;
  insert into punctual.planner (is_on) values (wanted)
  on conflict (one) do update set is_on = excluded.is_on;
end
$$;

-- Makes the template of its texts, if the app has none with that key; whether it did. Null: it cannot.
create or replace function punctual.planner_template(key text, message text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from punctual.templates_named(key, 1) t where t.is_it) then
    return false;
  end if;
  insert into public.sms_templates (template_key, name, message_template, max_length)
  values (key, 'Reminder of an event', message, null);
  return true;
exception when others then
  return null;
end
$$;

-- The users as the planner needs them, one row for each that has preferences. As facts_of reads them: whatever the
-- columns are, with the owner's rights.
create or replace function punctual.planner_people(users uuid[])
returns table (user_id uuid, phone_number text, phone_verified boolean, opted_out boolean, reminders boolean, quiet_start bigint,
               quiet_end bigint, timezone text, account_timezone text, daily_limit int, lead_minutes int, app_count int,
               app_reset_at timestamptz)
language plpgsql stable security definer rows 250 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  key constant text := punctual.key_type('user_sms_preferences', 'user_id');
  account_key constant text := punctual.key_type('users', 'id');
begin
  if key is null then
    return;
  end if;
  return query execute format($q$
    select a.id, p.row ->> 'phone_number', coalesce(punctual.as_boolean(p.row ->> 'phone_verified'), false),
           coalesce(punctual.as_boolean(p.row ->> 'opted_out'), false),
           coalesce(punctual.as_boolean(p.row ->> 'event_reminders_enabled'), false),
           (extract(epoch from punctual.as_time(p.row ->> 'quiet_hours_start')) * 1000000)::bigint,
           (extract(epoch from punctual.as_time(p.row ->> 'quiet_hours_end')) * 1000000)::bigint,
           p.row ->> 'timezone', u.row ->> 'timezone', punctual.as_int(p.row ->> 'daily_sms_limit'),
           punctual.as_int(p.row ->> 'event_reminder_lead_time_minutes'),
           punctual.apps_count(a.id, punctual.as_int(p.row ->> 'daily_sms_count'), punctual.as_instant(p.row ->> 'daily_count_reset_at')),
           punctual.as_instant(p.row ->> 'daily_count_reset_at')
      from unnest($1) as a (id)
     cross join lateral (
       select to_jsonb(p) as row from public.user_sms_preferences p where p.user_id = a.id::%s
        -- Of several rows of one user, the one that wants no texts.
        order by punctual.as_boolean(to_jsonb(p) ->> 'opted_out') desc nulls last limit 1) p
      left join lateral (%s) u on true
    $q$, key,
    case when account_key is null then 'select null::jsonb as row where false'
         else format('select to_jsonb(u) as row from public.users u where u.id = a.id::%s limit 1', account_key) end)
  using users;
end
$$;

-- The events in sync of these users that begin from one moment until another.
create or replace function punctual.planner_events(users uuid[], froms timestamptz[], untils timestamptz[])
returns table (user_id uuid, event text, occurrence text, title text, link text, starts timestamptz, ends timestamptz,
               is_all_day boolean, is_twice boolean)
language plpgsql stable security definer rows 1000 set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  key constant text := punctual.key_type('task_calendar_events', 'user_id');
begin
  if key is null then
    return;
  end if;
  return query execute format($q$
    select a.id, e.row ->> 'calendar_event_id', coalesce(e.row ->> 'occurrence', e.row ->> 'recurrence_instance_date', ''),
           e.row ->> 'event_title', e.row ->> 'event_link', e.event_start, punctual.as_instant(e.row ->> 'event_end'),
           coalesce(punctual.as_boolean(e.row ->> 'is_all_day'), false),
           (select count(*) > 1
              from (select from public.task_calendar_events o
                     where o.calendar_event_id = e.calendar_event_id and o.user_id = a.id::%1$s
                       and to_jsonb(o) ->> 'sync_status' is distinct from 'cancelled'
                     limit 2) few)
      from unnest($1, $2, $3) as a (id, starts, ends)
     cross join lateral (
       select to_jsonb(e) as row, e.event_start, e.calendar_event_id from public.task_calendar_events e
        where e.user_id = a.id::%1$s and e.event_start >= a.starts and e.event_start < a.ends
       -- Else each column would have to_jsonb called again.
       offset 0) e
     where e.row ->> 'sync_status' = 'synced' and e.row ->> 'calendar_event_id' is not null
    $q$, key) using users, froms, untils;
end
$$;

-- How many texts of users are pending that are due from one moment until another. Of each user by their key: joined,
-- all that is pending would be compared with each of them.
create or replace function punctual.planner_waiting(users uuid[], froms timestamptz[], untils timestamptz[])
returns table (user_id uuid, waiting bigint)
language plpgsql stable rows 250 set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_bitmapscan = off set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
  return query
    select a.id,
           (select count(*) from public.scheduled_messages m
             where m.user_id = a.id and m.status = 'pending' and is_counted!(m) and m.parts_done = 0
               -- So written that it matches no index: those of a user are fewer than those of a day.
               and greatest(due!(m), '-infinity') >= a.starts and greatest(due!(m), '-infinity') < a.ends)
      from unnest(users, froms, untils) as a (id, starts, ends);
end
$$;

-- They run with their owner's rights, or are for `punctual migrate` alone.
revoke execute on function punctual.planner_watch(text, boolean), punctual.planner_switch(boolean),
                           punctual.planner_template(text, text), punctual.planner_people(uuid[]),
                           punctual.planner_events(uuid[], timestamptz[], timestamptz[])
  from PUBLIC;
