-- For people who look at the database: the installation's business hours, and what is to be sent
-- in the recipients' own time. No message is judged by them. Re-runnable; replaced as a whole.
--
-- The views stand on functions, not on the app's tables, so that they are in the way of no later
-- `alter table`. What is called here runs with the rights of whoever asks: row level security
-- holds. Names the app has taken already are its own.

-- Whether messages go at that moment by the installation's business hours, as the running daemon
-- was told them. Always, where there are none.
create or replace function punctual.is_open(at timestamptz) returns boolean
language plpgsql stable strict security definer set search_path = '' as $$
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
-- This server's zone data does not know the zone.
exception when invalid_parameter_value then
  return null;
end
$$;

create or replace function punctual.installation()
returns table (timezone text, business_hours text)
language sql stable security definer set search_path = '' as $$
  select coalesce(max(s.timezone), 'UTC'), max(s.business_hours) from punctual.settings s
$$;

-- What is not ended yet, soonest first.
create or replace function punctual.local_messages(installation text)
returns table (id uuid, message text, recipient text, status text, timezone text,
               due_local timestamp, minutes_until numeric, held_by text)
language plpgsql stable set search_path = '' as $$
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
    select m.*, due!(m) as due
      from public.scheduled_messages m
     where under_way!(m)
     order by due!(m)
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
      -- So is `GMT+2`, which counts the other way round. These are all IANA names that have a digit.
      continue when candidate ~ '[0-9]'
                    and btrim(candidate) !~* '^((Etc/)?GMT[+-]?0|Etc/GMT[+-][0-9]{1,2}|EST5EDT|CST6CDT|MST7MDT|PST8PDT)$';
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
$$;

-- Ours is what calls ours.
do $$
declare
  has_name boolean;
  is_ours boolean;
begin
  select count(*) > 0, bool_and(p.prosrc like '%punctual.is_open(%' and pg_catalog.pg_has_role(p.proowner, 'usage'))
    into has_name, is_ours
    from pg_catalog.pg_proc p
   where p.pronamespace = 'public'::regnamespace and p.proname = 'is_business_hours'
     and p.pronargs = 1 and p.proargtypes[0] = 'timestamptz'::regtype;
  if not has_name or is_ours then
    create or replace function public.is_business_hours(at timestamptz) returns boolean
    language sql stable security definer set search_path = '' as 'select punctual.is_open(at)';
  end if;

  select count(*) > 0, bool_and(c.relkind = 'v' and pg_catalog.pg_get_viewdef(c.oid) like '%punctual.installation(%'
                                and pg_catalog.pg_has_role(c.relowner, 'usage'))
    into has_name, is_ours
    from pg_catalog.pg_class c
   where c.oid = to_regclass('public.business_hours_status');
  if not has_name or is_ours then
    create or replace view public.business_hours_status as
      select punctual.is_open(clock_timestamp()) as is_business_hours, i.timezone, i.business_hours,
             clock_timestamp() at time zone i.timezone as local_time,
             btrim(to_char(clock_timestamp() at time zone i.timezone, 'Day')) as day_name
        from punctual.installation() i;
  end if;

  select count(*) > 0, bool_and(c.relkind = 'v' and pg_catalog.pg_get_viewdef(c.oid) like '%punctual.local_messages(%'
                                and pg_catalog.pg_has_role(c.relowner, 'usage'))
    into has_name, is_ours
    from pg_catalog.pg_class c
   where c.oid = to_regclass('public.scheduled_messages_local');
  if not has_name or is_ours then
    create or replace view public.scheduled_messages_local as
      select l.*
        from punctual.installation() i, lateral punctual.local_messages(i.timezone) l;
  end if;
end
$$;
