-- Messages that the app shows (channel in_app): how a daemon writes them, and what their users may do. Re-runnable;
-- replaced as a whole.

-- Puts a part of a message there, once, and notifies the app of it. With the owner's rights: so only a daemon writes,
-- whatever the policies below say, and it needs no right on the table.
create or replace function punctual.put_in_app(message uuid, part int, whose uuid, kind text, subject text, body text)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  made uuid;
begin
  insert into punctual_api.in_app_messages as i (user_id, message_id, part, message_type, subject, body)
  values (whose, message, part, kind, subject, body)
  on conflict on constraint in_app_messages_message_id_part_key do update
    set user_id = excluded.user_id, message_type = excluded.message_type, subject = excluded.subject,
        body = excluded.body, created_at = clock_timestamp(), read_at = null
  -- The message was changed before this attempt, and an earlier one has put the former text there.
  where (i.user_id, i.message_type, i.subject, i.body)
        is distinct from (excluded.user_id, excluded.message_type, excluded.subject, excluded.body)
  returning i.id into made;
  -- Whoever is connected hears this, so it has ids only. It is left out while the queue is full.
  if made is not null and may_notify!() then
    perform pg_notify('punctual_in_app', json_build_object('id', made, 'user_id', whose)::text);
  end if;
end
$$;

-- Whether it is there, for an attempt to put it there whose outcome is not known.
create or replace function punctual.has_in_app(message uuid, part int) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (select from punctual_api.in_app_messages i
                  where i.message_id = has_in_app.message and i.part = has_in_app.part)
$$;

revoke execute on function punctual.put_in_app(uuid, int, uuid, text, text, text), punctual.has_in_app(uuid, int)
  from PUBLIC;

-- What a role that may put messages there needs beside it, if an earlier version granted it that.
call punctual.grant_with('punctual.put_in_app(uuid, int, uuid, text, text, text)', 'punctual.has_in_app(uuid, int)');

-- A user is the subject of the JWT that PostgREST has checked, as in auth.uid(), which only Supabase has.
drop policy if exists "punctual own messages" on punctual_api.in_app_messages;
create policy "punctual own messages" on punctual_api.in_app_messages for select
  using (user_id = (select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid));
drop policy if exists "punctual own read_at" on punctual_api.in_app_messages;
create policy "punctual own read_at" on punctual_api.in_app_messages for update
  using (user_id = (select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid));

-- Another role of the app's is granted the same by hand.
do $$
begin
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    revoke all on punctual_api.in_app_messages from anon;
  end if;
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'authenticated') then
    revoke all on punctual_api.in_app_messages from authenticated;
    grant select, update (read_at) on punctual_api.in_app_messages to authenticated;
  end if;
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'service_role') then
    revoke all on punctual_api.in_app_messages from service_role;
    grant select, update (read_at), delete on punctual_api.in_app_messages to service_role;
  end if;
end
$$;
