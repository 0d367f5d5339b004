-- Trigger on user_sms_preferences: a user who opts out is sent nothing more, from that transaction on.
-- Re-runnable; replaced as a whole. It cannot fail: an error becomes a warning. What it could not cancel, because
-- another transaction has locked it or a trigger of the app's fails, the daemon cancels within seconds, for the
-- reasons and in the way that task_calendar_events.sql describes; and the claim reads the preferences once more.

-- Cancels what is pending for a user. `refused`: why it cannot be cancelled here, so that it is only recorded.
create or replace function punctual.cancel_for_opt_out(whose uuid, refused text) returns void
-- Without bitmap scans, which visit every dead entry of an index each time.
language plpgsql set search_path = pg_catalog, pg_temp set enable_bitmapscan = off as $$
declare
  ids uuid[];
  -- Messages that remain pending are looked for only where some may.
  is_complete boolean := true;
  changed bigint;
begin
  begin
    ids := array(select m.id from public.scheduled_messages m
                  where m.user_id = whose and m.status = 'pending' and opt_out_holds!(m)
                  order by m.id
                    for no key update);
  exception when lock_not_available or deadlock_detected then
    is_complete := false;
    ids := array(select m.id from public.scheduled_messages m
                  where m.user_id = whose and m.status = 'pending' and opt_out_holds!(m)
                  order by m.id
                    for no key update skip locked);
  end;
  if refused is null then
    update public.scheduled_messages m
       set status = 'cancelled', cancel_reason = 'the recipient has opted out', updated_at = clock_timestamp()
     where m.id = any (ids) and is_pending!(m);
    get diagnostics changed = row_count;
    is_complete := is_complete and changed = cardinality(ids);
  else
    is_complete := false;
  end if;
  if not is_complete then
    with missed as (
      insert into punctual.missed_event_changes (message_id, user_id)
      select m.id, whose
        from public.scheduled_messages m
       where m.user_id = whose and m.status = 'pending' and opt_out_holds!(m)
      returning message_id
    )
    insert into punctual.notes (message_id, note)
    select missed.message_id,
           'the recipient has opted out; ' || coalesce(refused, 'the message was locked by another transaction')
           || ', so it is not cancelled yet'
      from missed;
  end if;
  insert into punctual.notes (message_id, note)
  select m.id, 'the recipient has opted out; too late, it was being sent'
    from public.scheduled_messages m
   where m.user_id = whose and attempted!(m) and opt_out_holds!(m);
end
$$;

create or replace function punctual.opted_out() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
declare
  after constant jsonb := to_jsonb(new);
  writer constant text := current_setting('punctual.writer', true);
  refused text := punctual.is_only_recorded();
begin
  if restoring!() or punctual.as_boolean(after ->> 'opted_out') is not true
     or after ->> 'user_id' !~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$'
     or (tg_op = 'UPDATE' and punctual.as_boolean(to_jsonb(old) ->> 'opted_out')
         and to_jsonb(old) ->> 'user_id' = after ->> 'user_id')
  then
    return null;
  end if;
  -- At most twice: what could not be cancelled the first time is only recorded the second.
  for turn in 1..2 loop
    begin
      -- With the owner's rights the caller's setting would have an effect: nobody would be notified.
      perform set_config('punctual.writer', '', true);
      perform punctual.cancel_for_opt_out((after ->> 'user_id')::uuid, refused);
      perform set_config('punctual.writer', coalesce(writer, ''), true);
      if refused is not null then
        perform punctual.notify_missed();
      end if;
      return null;
    exception when others then
      refused := punctual.refused_by_app(sqlstate);
      raise warning 'what is pending for a user who opted out % cancelled: SQLSTATE %',
        case turn when 1 then 'will, some seconds later, be' else 'could not be' end, sqlstate;
    end;
  end loop;
  return null;
end
$$;

revoke execute on function punctual.cancel_for_opt_out(uuid, text) from PUBLIC;

-- A number has opted out by STOP, or in again: the preferences of the users who have it say so too, for the app, and
-- for what is sent to them from other senders. Whether it has is read here, so that a write that is tried again later
-- sets nothing that is over. What a person or the app has set is never taken back. For the daemon, with the owner's
-- rights; returns why the app's table refused it, and what the server said.
create or replace function punctual.write_opt_out(theirs text, out refusal text, out app_words text)
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp set lock_timeout = '100ms' as $$
declare
  by_stop constant text := 'recipient opted out (STOP)';
  key constant text := punctual.key_type('user_sms_preferences', 'phone_number');
  has constant text[] := punctual.columns_of('user_sms_preferences',
    '{opted_out,opted_out_at,opt_out_reason,updated_at}');
  stands constant boolean := exists (
    select from punctual.suppressions s where s.their_number = theirs and s.reason = by_stop);
  its_constraint text;
  its_table text;
  its_column text;
  its_context text;
begin
  -- Without the reason, nobody would know what a START may take back.
  if key is null or not has @> '{opted_out,opt_out_reason}' then
    return;
  end if;
  execute (
    select format('update public.user_sms_preferences set %s where phone_number = $1::%s and %s',
                  string_agg(w.name || ' = ' || case when stands then w.stop else w.start end, ', '), key,
                  case when stands then 'opted_out is not true' else 'opted_out and opt_out_reason = $2' end)
      from (values ('opted_out', 'true', 'false'), ('opted_out_at', 'clock_timestamp()', 'null'),
                   ('opt_out_reason', '$2', 'null'), ('updated_at', 'clock_timestamp()', 'clock_timestamp()')
           ) as w (name, stop, start)
     where w.name = any (has)) using theirs, by_stop;
  set constraints all immediate;
exception when query_canceled or assert_failure or others then
  get stacked diagnostics its_constraint = constraint_name, its_table = table_name, its_column = column_name,
                          its_context = pg_exception_context;
  app_words := sqlerrm;
  refusal := punctual.refusal('writing an opt-out to the app''s preferences', sqlstate, sqlerrm, its_constraint, its_table,
                              its_column, its_context);
end
$$;

revoke execute on function punctual.write_opt_out(text) from PUBLIC;
call punctual.grant_with('punctual.write_back(int)', 'punctual.write_opt_out(text)');

-- Only if the table is the migrator's.
do $$
begin
  if exists (select from pg_catalog.pg_class c
              where c.oid = to_regclass('public.user_sms_preferences') and c.relkind in ('r', 'p')
                and pg_catalog.pg_has_role(c.relowner, 'usage'))
  then
    create or replace trigger punctual_opted_out
      after insert or update on public.user_sms_preferences
      for each row execute function punctual.opted_out();
    create or replace trigger punctual_opted_out_replicated
      after insert or update on public.user_sms_preferences
      for each row execute function punctual.opted_out();
    alter table public.user_sms_preferences enable replica trigger punctual_opted_out_replicated;
  end if;
end
$$;

-- A time zone that Punctual's own migration added has no default: a user who has chosen none has that of the
-- installation (PUNCTUAL_TIMEZONE). Where the migration was an earlier version's it has one. Ours is a default that was
-- written by the transaction that recorded the migration, and recorded no other, as the restore of a dump in one
-- transaction does; any other is the app's and stays (`punctual doctor` shows it).
do $$
begin
  if exists (select from pg_catalog.pg_attrdef d
               join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
               join pg_catalog.pg_class c on c.oid = d.adrelid
               join punctual.migrations m on m.xmin::text = d.xmin::text
              where d.adrelid = to_regclass('public.user_sms_preferences') and a.attname = 'timezone'
                and pg_get_expr(d.adbin, d.adrelid) = '''America/Los_Angeles''::text'
                and not exists (
                  select from punctual.migrations o where o.xmin::text = m.xmin::text and o.version <> m.version)
                and pg_catalog.pg_has_role(c.relowner, 'usage'))
  then
    alter table public.user_sms_preferences alter column timezone drop default;
  end if;
end
$$;

-- Whether texts reach a user, for people and apps; it shows what its caller may see. A function of that name
-- without Punctual's comment is the app's own.
do $$
begin
  if punctual.may_offer('get_user_sms_channel_info') then
    create or replace function public.get_user_sms_channel_info(p_user_id uuid)
    returns table (has_sms_available boolean, phone_number text, phone_verified boolean,
                   phone_verified_at timestamptz, opted_out boolean)
    language plpgsql stable set search_path = pg_catalog, pg_temp as $f$
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
    comment on function public.get_user_sms_channel_info(uuid) is 'made by Punctual';
  end if;
end
$$;
