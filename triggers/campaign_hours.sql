-- For people who run campaigns: the hours of campaigns, what is sent next and what was sent today by the clock of the
-- Pacific coast, and the functions by which they had messages processed before there was a daemon. Re-runnable;
-- replaced as a whole. Names the app has taken already are left to it.

-- The hours of campaigns that have none of their own, as the running daemon has recorded them, or the usual ones.
create or replace function punctual.campaign_hours(out timezone text, out hours text, out open_from bigint[],
                                                   out open_until bigint[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select coalesce(max(s.campaign_timezone), 'America/Los_Angeles'), coalesce(max(s.campaign_hours), 'mon-fri 09:00-20:00'),
         coalesce(max(s.campaign_open_from), '{32400000000,118800000000,205200000000,291600000000,378000000000}'),
         coalesce(max(s.campaign_open_until), '{72000000000,158400000000,244800000000,331200000000,417600000000}')
    from punctual.settings s
$$;

-- Whether a campaign (null: one that has no hours of its own) may send at that moment. Null: there is no such
-- campaign, or this server's zone data does not know its zone.
create or replace function punctual.is_campaign_open(campaign uuid, at timestamptz) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  own record;
  clock timestamp;
  us bigint;
begin
  if campaign is null then
    select h.timezone, h.open_from, h.open_until into own from punctual.campaign_hours() h;
  else
    select c.timezone, c.open_from, c.open_until into own from punctual.campaigns c where c.id = campaign;
  end if;
  clock := at at time zone own.timezone;
  us := (extract(isodow from clock) - 1) * 86400000000 + extract(epoch from clock::time) * 1000000;
  return case when clock is not null
              then exists (select from unnest(own.open_from, own.open_until) as o (opens, closes)
                            where us >= o.opens and us < o.closes) end;
exception when invalid_parameter_value then
  return null;
end
$$;

-- The name of whom a message is for, and of its campaign, if its reader may know them.
create or replace function punctual.campaign_of(message uuid, out customer_name text, out campaign_name text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- Without a right on the schema already the name of a table in it is refused.
  if not pg_catalog.has_schema_privilege('punctual', 'usage') then
    return;
  end if;
  if pg_catalog.has_table_privilege('punctual.campaign_messages', 'select')
     and pg_catalog.has_table_privilege('punctual.campaigns', 'select') then
    select m.customer_name, c.name into customer_name, campaign_name
      from punctual.campaign_messages m
      join punctual.campaigns c on c.id = m.campaign_id
     where m.message_id = message;
  end if;
end
$$;

-- What is to be sent, soonest first. Inlined into the statement that calls it, so that the next ten cost little.
create or replace function punctual.pacific_messages()
returns table (id uuid, "row" jsonb, phone_number text, status text, due timestamptz)
language sql stable as $$
  select m.id, to_jsonb(m), m.to_number::text, m.status::text, due!(m)
    from public.scheduled_messages m
   where m.status = 'pending'
   order by due!(m)
$$;

-- What was sent since midnight on the Pacific coast.
create or replace function punctual.pacific_sent()
returns table (id uuid, "row" jsonb, phone_number text, status text, sent_at timestamptz)
language sql stable as $$
  select m.id, to_jsonb(m), m.to_number::text, m.status::text, m.sent_at
    from public.scheduled_messages m
   where m.status in ('sent', 'delivered')
     and m.sent_at >= date_trunc('day', clock_timestamp() at time zone 'America/Los_Angeles') at time zone 'America/Los_Angeles'
$$;

-- Has the daemons look at what is due, and counts what came due since the previous call (at the first, in the last
-- day), whether it was sent or still waits. Calls follow each other.
create or replace function punctual.process_due(out processed_count int, out error_message text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  now constant timestamptz := clock_timestamp();
  before timestamptz;
  waiting text;
begin
  insert into punctual.process_calls (at) values (now - interval '1 day') on conflict (one) do nothing;
  select c.at into before from punctual.process_calls c for update;
  select count(*) into processed_count
    from (select from public.scheduled_messages m
           where m.status = 'pending' and due!(m) > before and due!(m) <= now
          union all
          select from public.scheduled_messages m
           where attempted!(m) and due!(m) > before and due!(m) <= now
          union all
          select from public.scheduled_messages m
           where m.status in ('sent', 'delivered', 'failed') and due!(m) > before and due!(m) <= now) m;
  if exists (select from punctual.instances i
              where i.stopped_at is null and i.heartbeat_at > now - interval '30 s') then
    select string_agg(m.id::text, ',') into waiting
      from (select m.id from public.scheduled_messages m
             where m.status = 'pending' and due!(m) <= now order by due!(m) limit 50) m;
    if waiting is not null and may_notify!() then
      perform pg_notify('punctual', 'ids ' || waiting);
    end if;
  else
    error_message := 'no daemon is running, so nothing is sent: start one with punctual run';
  end if;
  update punctual.process_calls set at = now;
end
$$;

-- The same in business hours only.
create or replace function punctual.process_safely(out processed_count int, out error_message text, out skipped_reason text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if punctual.is_campaign_open(null, clock_timestamp()) then
    select p.processed_count, p.error_message into processed_count, error_message from punctual.process_due() p;
  else
    processed_count := 0;
    skipped_reason := (select format('Outside business hours (%s %s)', h.hours, h.timezone) from punctual.campaign_hours() h);
  end if;
end
$$;

revoke execute on function punctual.process_due(), punctual.process_safely() from PUBLIC;

-- Whether a name is free, or already Punctual's, by what an object of that name calls. Of functions every one counts
-- that can be called with so many arguments: a second one would make the calls of the first ambiguous.
create or replace function punctual.is_free(its_name text, args int, calls text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(bool_and(o.source like '%' || calls || '(%' and pg_has_role(o.owner, 'usage')), true)
    from (select p.prosrc || coalesce(pg_get_function_sqlbody(p.oid), '') as source, p.proowner as owner
            from pg_proc p
           where args is not null and p.pronamespace = to_regnamespace(quote_ident('public')) and p.proname = its_name
             and (args between p.pronargs - p.pronargdefaults and p.pronargs or p.provariadic <> 0)
          union all
          select case when c.relkind = 'v' then pg_get_viewdef(c.oid) else '' end, c.relowner
            from pg_class c
           where args is null and c.relnamespace = to_regnamespace(quote_ident('public')) and c.relname = its_name) o
$$;

do $$
begin
  if punctual.is_free('is_business_hours', 0, 'punctual.is_campaign_open') then
    create or replace function public.is_business_hours() returns boolean
    language sql stable security invoker set search_path = pg_catalog, pg_temp
    return punctual.is_campaign_open(null, clock_timestamp());
    revoke execute on function public.is_business_hours() from PUBLIC;
  end if;
  if punctual.is_free('is_business_hours', 2, 'punctual.is_campaign_open') then
    create or replace function public.is_business_hours(campaign_id uuid, at timestamptz) returns boolean
    language sql stable security invoker set search_path = pg_catalog, pg_temp
    return punctual.is_campaign_open(campaign_id, at);
    revoke execute on function public.is_business_hours(uuid, timestamptz) from PUBLIC;
  end if;
  if punctual.is_free('process_scheduled_messages', 0, 'punctual.process_due') then
    create or replace function public.process_scheduled_messages()
    returns table (processed_count int, error_message text, skipped_reason text)
    language sql volatile security invoker set search_path = pg_catalog, pg_temp
    begin atomic
      select p.processed_count, p.error_message, null::text from punctual.process_due() p;
    end;
    revoke execute on function public.process_scheduled_messages() from PUBLIC;
  end if;
  if punctual.is_free('process_scheduled_messages_safe', 0, 'punctual.process_safely') then
    create or replace function public.process_scheduled_messages_safe()
    returns table (processed_count int, error_message text, skipped_reason text)
    language sql volatile security invoker set search_path = pg_catalog, pg_temp
    begin atomic
      select p.processed_count, p.error_message, p.skipped_reason from punctual.process_safely() p;
    end;
    revoke execute on function public.process_scheduled_messages_safe() from PUBLIC;
  end if;
end
$$;

do $$
declare
  grantee name;
  own regprocedure;
  shown regclass;
begin
  if punctual.is_free('scheduled_messages_pst', null, 'punctual.pacific_messages') then
    create or replace view public.scheduled_messages_pst as
      select coalesce((m.whose).customer_name, m."row" ->> 'customer_name', m."row" -> 'metadata' ->> 'customer_name') as customer_name,
             m.phone_number, m.due at time zone 'America/Los_Angeles' as scheduled_for_pst,
             case when isfinite(m.due) then round((extract(epoch from m.due - clock_timestamp()) / 60)::numeric, 1) end
               as minutes_until_send,
             m.id, m.due as scheduled_for_utc, m.status,
             coalesce((m.whose).campaign_name, m."row" ->> 'campaign_name') as campaign_name
        from (select m.*, punctual.campaign_of(m.id) as whose from punctual.pacific_messages() m) m;
  end if;
  if punctual.is_free('sent_today_pst', null, 'punctual.pacific_sent') then
    create or replace view public.sent_today_pst as
      select coalesce((m.whose).customer_name, m."row" ->> 'customer_name', m."row" -> 'metadata' ->> 'customer_name') as customer_name,
             m.phone_number, m.sent_at at time zone 'America/Los_Angeles' as sent_at_pst, m.id, m.status,
             coalesce((m.whose).campaign_name, m."row" ->> 'campaign_name') as campaign_name
        from (select m.*, punctual.campaign_of(m.id) as whose from punctual.pacific_sent() m) m;
  end if;
  foreach shown in array array_remove(array[to_regclass('public.scheduled_messages_pst'), to_regclass('public.sent_today_pst')], null)
  loop
    -- Before version 15 a view always has the rights of its owner. These use functions, so it makes no difference.
    if current_setting('server_version_num')::int >= 150000
       and pg_catalog.pg_get_viewdef(shown) like '%punctual.campaign_of(%' then
      execute format('alter view %s set (security_invoker = true)', shown);
    end if;
  end loop;
  -- Supabase serves functions of an exposed schema to anon, unless that is revoked.
  for grantee in
    select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')
  loop
    for own in
      select p.oid::regprocedure
        from pg_catalog.pg_proc p
       where p.pronamespace = to_regnamespace(quote_ident('public'))
         and (p.proname = 'is_business_hours' and p.pronargs in (0, 2)
              or p.proname in ('process_scheduled_messages', 'process_scheduled_messages_safe') and p.pronargs = 0)
         and p.prosrc || coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), '')
             ~ 'punctual\.(is_campaign_open|process_due|process_safely)\('
         and pg_catalog.pg_has_role(p.proowner, 'usage')
    loop
      if grantee = 'service_role' or grantee = 'authenticated' and own::text like '%is_business_hours%' then
        execute format('grant execute on function %s to %I', own, grantee);
      else
        execute format('revoke execute on function %s from %I', own, grantee);
      end if;
    end loop;
    if grantee = 'service_role' then
      grant execute on function punctual.process_due(), punctual.process_safely() to service_role;
    end if;
  end loop;
end
$$;
