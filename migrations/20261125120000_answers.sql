-- Two answers for people that were not those of the policy: a zone that is none, and what is null in
-- the preferences.

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

-- Only where it is the one that an earlier file made; one of that name may be the app's own.
do $$
begin
  if exists (select from pg_catalog.pg_proc p
              where p.pronamespace = 'public'::regnamespace and p.proname = 'get_user_sms_channel_info'
                and p.prosrc like '%select p.phone_verified and not p.opted_out and coalesce(p.phone_number, '''') ~%'
                and pg_catalog.pg_has_role(p.proowner, 'usage'))
  then
    create or replace function public.get_user_sms_channel_info(p_user_id uuid)
    returns table (has_sms_available boolean, phone_number text, phone_verified boolean,
                   phone_verified_at timestamptz, opted_out boolean)
    language plpgsql stable set search_path = '' as $f$
    begin
      return query
        select coalesce(p.phone_verified, false) and not coalesce(p.opted_out, false)
               and coalesce(p.phone_number, '') ~ '\S',
               p.phone_number::text, coalesce(p.phone_verified, false), p.phone_verified_at,
               coalesce(p.opted_out, false)
          from public.user_sms_preferences p
         where p.user_id = p_user_id
         -- Of several rows of one user, the one that wants no texts, as at the claim.
         order by p.opted_out desc nulls last
         limit 1;
      if not found then
        return query select false, null::text, false, null::timestamptz, false;
      end if;
    end
    $f$;
  end if;
end
$$;
