-- Notifies users of what has become of their messages, if that is wanted. Re-runnable; replaced as a whole.
--
--   scheduled_messages ─▶ note_for_user ─▶ user_notices ─▶ send_user_notices ─▶ NOTIFY notify_user, Realtime
--
-- Not in the transaction that records the outcome: a transaction that notifies holds a lock of the whole server until
-- it is on disk, so that no two of them commit together. A daemon notifies in one of its own, which does not wait for
-- the disk.

-- On a message that was sent, has arrived or has failed. The trigger is made by `notify_users`.
create or replace function punctual.note_for_user() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- What the app's own sender has sent is not news to it.
  if current_setting('punctual.from_source', true) = 'on' then
    return null;
  end if;
  insert into punctual.user_notices (message_id, user_id, event) values (new.id, new.user_id, 'sms_' || new.status);
  return null;
end
$$;

-- Turns it on or off: what `punctual migrate --notify-users` calls.
create or replace function punctual.notify_users(wanted boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if not wanted then
    drop trigger if exists punctual_notify_user on public.scheduled_messages;
    delete from punctual.user_notices;
  elsif not punctual.notifies_users() then
    -- By another spelling than those that are always there.
    execute $make$create trigger punctual_notify_user
      after update on public.scheduled_messages for each row
      when (new.user_id is not null and new.status is distinct from old.status and new.status in ('sent', 'delivered', 'failed'))
      execute function punctual.note_for_user()$make$;
  end if;
end
$$;

create or replace function punctual.notifies_users() returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = to_regclass('public.scheduled_messages') and t.tgname = 'punctual_notify_user');
end
$$;

-- Notifies of as many; how many there were. Null: it is off. Whoever is connected may listen, so it has ids only.
-- Supabase's Realtime sends it to the private channel of the user. While the queue of notifications is nearly full,
-- they wait.
create or replace function punctual.send_user_notices(most int) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  one record;
  about jsonb;
  sent int := 0;
  -- Supabase's own: with the rights of this function nobody else's is called.
  by_realtime constant boolean := exists (
    select from pg_catalog.pg_proc p join pg_catalog.pg_roles o on o.oid = p.proowner
     where p.oid = to_regprocedure('realtime.send(jsonb, text, text, boolean)')
       and (o.rolsuper or o.rolname in (current_user, 'supabase_admin', 'supabase_realtime_admin')));
begin
  if not punctual.notifies_users() then
    return null;
  elsif not may_notify!() then
    return 0;
  end if;
  perform set_config('synchronous_commit', 'off', true);
  for one in
    with gone as (
      delete from punctual.user_notices n
       where n.id = any (array(select o.id from punctual.user_notices o order by o.id limit most for update skip locked))
      returning n.id, n.message_id, n.user_id, n.event
    )
    select g.message_id, g.user_id, g.event, r.key, n.to_number
      from gone g
      left join lateral (
        select o.key from punctual.source_rows o
          join punctual.sources s on s.name = o.source and s.table_name = 'scheduled_sms_messages'
         where o.message_id = g.message_id offset 0) r on true
      left join lateral (
        select m.to_number from public.scheduled_messages m where m.id = g.message_id offset 0) n on true
     order by g.id
  loop
    about := jsonb_strip_nulls(jsonb_build_object('message_id', one.message_id, 'scheduled_sms_id', one.key));
    perform pg_notify('notify_user', jsonb_build_object('user_id', one.user_id, 'event', one.event, 'payload', about)::text);
    if by_realtime then
      begin
        execute 'select realtime.send($1, $2, $3, true)' using jsonb_strip_nulls(about || jsonb_build_object('phone_number', one.to_number)), one.event, 'user:' || one.user_id;
      exception when others then
        -- Its tables are Supabase's: a fault there keeps no other notice back.
        null;
      end;
    end if;
    sent := sent + 1;
  end loop;
  return sent;
end
$$;

revoke execute on function punctual.note_for_user(), punctual.notify_users(boolean), punctual.send_user_notices(int) from PUBLIC;

-- What a role that may write outcomes needs beside it, if an earlier version granted it that.
call punctual.grant_with('punctual.write_back(int)', 'punctual.send_user_notices(int)');
