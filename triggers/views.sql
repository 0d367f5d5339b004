-- For people who look at the database: the installation's business hours and those of campaigns, and what is to be sent
-- in the recipients' own time. No message is judged by them. Re-runnable; replaced as a whole.
--
-- The views use functions, not the app's tables, so that they do not block a later `alter table`. What is
-- called here runs with the caller's rights: row level security applies. Names the app has taken already are
-- left to it.

-- Whether messages are sent at that moment by the installation's business hours, as the running daemon has
-- recorded them. Always, if there are none.
create or replace function punctual.is_open(at timestamptz) returns boolean
language plpgsql stable strict security definer set search_path = pg_catalog, pg_temp as $$
declare
  clock timestamp;
  us bigint;
  settings record;
begin
  select * into settings from punctual.settings;
  if settings.business_hours is null then
    return true;
  end if;
  clock := at at time zone settings.timezone;
  us := (extract(isodow from clock) - 1) * 86400000000 + extract(epoch from clock::time) * 1000000;
  return exists (select from unnest(settings.open_from, settings.open_until) as o (opens, closes)
                  where us >= o.opens and us < o.closes);
-- This server's zone data does not know the zone.
exception when invalid_parameter_value then
  return null;
end
$$;

create or replace function punctual.installation()
returns table (timezone text, business_hours text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce(max(s.timezone), 'UTC'), max(s.business_hours) from punctual.settings s
$$;

-- A moment in its message's local time: by the row's zone, else its user's (of the preferences, of the app's table of
-- users), else the installation's.
create or replace function punctual.local_time(at timestamptz, own_zone text, whose uuid, installation text,
                                               out timezone text, out due_local timestamp)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  candidate text := own_zone;
  tab text;
  key text;
begin
  for turn in 1..5 loop
    candidate := case turn when 1 then own_zone when 4 then installation when 5 then 'UTC' end;
    if turn in (2, 3) and whose is not null then
      tab := case turn when 2 then 'user_sms_preferences' else 'users' end;
      key := case turn when 2 then 'user_id' else 'id' end;
      if coalesce(pg_catalog.has_table_privilege(to_regclass('public.' || tab), 'select'), false)
         and (select count(*) = 2 from pg_catalog.pg_attribute a
               where a.attrelid = to_regclass('public.' || tab) and not a.attisdropped
                 and (a.attname = key and a.atttypid = 'uuid'::regtype or a.attname = 'timezone'))
      then
        execute format('select o.timezone::text from public.%I o where o.%I = $1 limit 1', tab, key)
          into candidate using whose;
      end if;
    end if;
    candidate := btrim(candidate, white!());
    continue when candidate is null
      -- An abbreviation is a zone to Postgres, and not to the daemon.
      or upper(candidate) not in ('UTC', 'GMT')
         and exists (select from pg_catalog.pg_timezone_abbrevs a where a.abbrev = upper(candidate))
      -- The same for `GMT+2`, whose sign is inverted. These are all the IANA names that have a digit.
      or candidate ~ '[0-9]'
         and candidate !~* '^((Etc/)?GMT[+-]?0|Etc/GMT[+-][0-9]{1,2}|EST5EDT|CST6CDT|MST7MDT|PST8PDT)$';
    begin
      due_local := at at time zone candidate;
      timezone := candidate;
      exit when due_local is not null;
    exception when invalid_parameter_value then
      continue;
    end;
  end loop;
end
$$;

-- What has not ended: what is being sent, and then the rest, soonest first. Inlined into the statement that
-- calls it, so that reading a few rows of a million costs little: so it sets nothing, and names nothing of
-- schema punctual, on which its caller may have no right.
create or replace function punctual.local_messages()
returns table (id uuid, message text, recipient text, status text, own_zone text, user_id uuid,
               due timestamptz, minutes_until numeric, held_by text)
language sql stable as $$
  select m.id, left(m.body, 60), m.to_number::text, m.status::text, m.timezone::text, m.user_id, m.due,
         case when isfinite(m.due) then round((extract(epoch from m.due - clock_timestamp()) / 60)::numeric, 1) end,
         case
           when m.status = 'sending' then 'it is being sent this moment'
           when m.status = 'unconfirmed' then 'it is unknown whether it was sent: ' || coalesce(m.error_message, 'no answer')
           when m.parts_done > 0 and m.error_message is null then parts_sent!(m)
           when m.next_attempt_at = m.due and m.next_attempt_at > m.scheduled_at
             then 'until the next try: ' || coalesce(m.error_message, 'it was not sent')
           when m.deferred_until = m.due and m.deferred_until > m.scheduled_at
             then coalesce(m.deferred_reason, 'deferred')
         end
    from ((select m.*, due!(m) as due from public.scheduled_messages m
            where attempted!(m) order by due!(m))
           union all
          (select m.*, due!(m) as due from public.scheduled_messages m
            where m.status = 'pending' order by due!(m))) m
$$;

-- An object is Punctual's if it calls Punctual's function.
do $$
declare
  -- Before version 15 a view always has the rights of its owner. These use functions, so it makes no
  -- difference.
  by_caller constant boolean := current_setting('server_version_num')::int >= 150000;
  has_name boolean;
  is_ours boolean;
  grantee name;
begin
  select count(*) > 0, bool_and(p.prosrc || coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), '') like '%punctual.is_open(%'
                                and pg_catalog.pg_has_role(p.proowner, 'usage'))
    into has_name, is_ours
    from pg_catalog.pg_proc p
   where p.pronamespace = to_regnamespace(quote_ident('public')) and p.proname = 'is_business_hours'
     and p.pronargs = 1 and p.proargtypes[0] = 'timestamptz'::regtype;
  if not has_name or is_ours then
    -- With the rights of its caller. The body is resolved here, so that its callers need no right on schema
    -- punctual.
    create or replace function public.is_business_hours(at timestamptz) returns boolean
    language sql stable security invoker set search_path = pg_catalog, pg_temp return punctual.is_open(at);
    -- Supabase serves functions of an exposed schema to anon, unless that is revoked.
    revoke execute on function public.is_business_hours(timestamptz) from PUBLIC;
    for grantee in
      select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')
    loop
      if grantee = 'anon' then
        revoke execute on function public.is_business_hours(timestamptz) from anon;
      else
        execute format('grant execute on function public.is_business_hours(timestamptz) to %I', grantee);
      end if;
    end loop;
  end if;

  select count(*) > 0, bool_and(c.relkind = 'v' and pg_catalog.pg_get_viewdef(c.oid) ~ 'punctual\.(installation|campaign_hours)\('
                                and pg_catalog.pg_has_role(c.relowner, 'usage'))
    into has_name, is_ours
    from pg_catalog.pg_class c
   where c.oid = to_regclass('public.business_hours_status');
  if not has_name or is_ours then
    create or replace view public.business_hours_status as
      select punctual.is_campaign_open(null, now.at) as is_business_hours, h.timezone, h.hours as business_hours,
             now.at at time zone h.timezone as local_time, btrim(to_char(now.at at time zone h.timezone, 'Day')) as day_name,
             date_trunc('second', now.at at time zone 'America/Los_Angeles') as current_pacific_time,
             extract(hour from now.at at time zone 'America/Los_Angeles')::int as current_hour_pst
        from punctual.campaign_hours() h, (select clock_timestamp() as at offset 0) now;
    if by_caller then
      execute 'alter view public.business_hours_status set (security_invoker = true)';
    end if;
  end if;

  select count(*) > 0, bool_and(c.relkind = 'v' and pg_catalog.pg_get_viewdef(c.oid) like '%punctual.local_messages(%'
                                and pg_catalog.pg_has_role(c.relowner, 'usage'))
    into has_name, is_ours
    from pg_catalog.pg_class c
   where c.oid = to_regclass('public.scheduled_messages_local');
  if not has_name or is_ours then
    create or replace view public.scheduled_messages_local as
      -- One source and no join, so that a query for a few rows gets them from the index.
      select m.id, m.message, m.recipient, m.status, (m.local).timezone, (m.local).due_local, m.minutes_until,
             m.held_by
        from (select m.*, punctual.local_time(m.due, m.own_zone, m.user_id,
                                              (select i.timezone from punctual.installation() i)) as local
                from punctual.local_messages() m) m;
    if by_caller then
      execute 'alter view public.scheduled_messages_local set (security_invoker = true)';
    end if;
  end if;
end
$$;

-- From an earlier version.
drop function if exists punctual.local_messages(text);
