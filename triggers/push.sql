-- Subscriptions to push messages: what a daemon does with them, and what their users may do. Re-runnable; replaced as a
-- whole.
--
-- With the owner's rights: so a daemon needs none on the table, and can neither list nor change it.

-- The keys of the live subscription with this endpoint, if it is this user's. Another one may have it by now: whoever
-- logs in next in the same browser. Null: the message is of no user.
create or replace function punctual.push_keys(whose text, recipient uuid, out p256dh text, out auth text)
returns setof record
language sql stable security definer rows 1 set search_path = pg_catalog, pg_temp as $$
  select s.p256dh, s.auth from punctual_api.push_subscriptions s where s.endpoint = whose and s.ended_at is null
     and (recipient is null or s.user_id = recipient)
$$;

-- Ends the subscription with this endpoint.
create or replace function punctual.end_push(whose text, why text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update punctual_api.push_subscriptions s set ended_at = clock_timestamp(), reason = why
   where s.endpoint = whose and s.ended_at is null
$$;

revoke execute on function punctual.push_keys(text, uuid), punctual.end_push(text, text) from PUBLIC;

-- The most live subscriptions of a user: each chooses a host to send to. The same once more is not another.
create or replace function punctual.guard_push() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('punctual.push ' || new.user_id, 0));
  if (select count(*) from punctual_api.push_subscriptions s where s.user_id = new.user_id and s.ended_at is null) >= 20
     and not exists (select from punctual_api.push_subscriptions s where s.endpoint = new.endpoint) and not restoring!()
  then
    raise exception using errcode = 'PT422', message = 'this user has 20 push subscriptions already',
      hint = 'Nothing was written. Delete one that is not used any more.';
  end if;
  return new;
end
$$;

create or replace trigger punctual_guard_push
  before insert on punctual_api.push_subscriptions for each row
  execute function punctual.guard_push();

-- A user is the subject of the request's JWT, as in in_app.sql.
drop policy if exists "punctual own subscriptions" on punctual_api.push_subscriptions;
create policy "punctual own subscriptions" on punctual_api.push_subscriptions
  using (user_id = (select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid))
  with check (user_id = (select (nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub')::uuid));

-- Another role of the app's is granted the same by hand.
do $$
declare
  grantee name;
begin
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    revoke all on punctual_api.push_subscriptions from anon;
  end if;
  for grantee in select r.rolname from pg_catalog.pg_roles r where r.rolname in ('authenticated', 'service_role') loop
    execute format('revoke all on punctual_api.push_subscriptions from %I', grantee);
    execute format('grant select, insert (user_id, endpoint, p256dh, auth), delete on punctual_api.push_subscriptions to %I',
                   grantee);
  end loop;
end
$$;
