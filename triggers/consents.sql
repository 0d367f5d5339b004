-- The log of consents: what the app and people record in it, and opt-outs as they come and go. Re-runnable; replaced as
-- a whole.

-- A recipient as the log has it: a phone number by its digits, anything else without case; as `punctual.forget`
-- compares them, so that it finds all of somebody's.
create or replace function punctual.consent_key(recipient text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return regexp_replace(punctual.bare_address(recipient), '^([0-9]+)$', '+\1');
end
$$;

-- Records that somebody has agreed, or has withdrawn that. Whoever may do so calls `punctual_api.record_consent`, which
-- calls this with its owner's rights.
create or replace function punctual.consent_for_app(recipient text, how text, shown text, given boolean, scope text,
                                                    at timestamptz, user_id uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  recorded bigint;
  wrong constant text := case
    when coalesce(btrim(recipient, white!()), '') = '' or length(recipient) > 2048 then 'recipient must be a number or another address'
    when coalesce(btrim(how, white!()), '') = '' or length(how) > 200 then 'how must have 1 to 200 characters, like web form'
    when length(shown) > 10000 then 'shown must have at most 10000 characters'
    when given is null then 'given must be true or false'
    when scope is null or scope not in ('marketing', 'transactional', 'all')
      then 'scope must be marketing, transactional or all'
    when at > clock_timestamp() + interval '5 minutes' then 'at must not be in the future'
  end;
begin
  if wrong is not null then
    raise exception using errcode = 'PT422', message = wrong, hint = 'Nothing was recorded.';
  end if;
  insert into punctual.consents (recipient, user_id, is_given, scope, how, shown, at, role, actor)
  values (punctual.consent_key(consent_for_app.recipient), consent_for_app.user_id, given, consent_for_app.scope,
          btrim(consent_for_app.how, white!()), consent_for_app.shown, coalesce(consent_for_app.at, clock_timestamp()),
          coalesce(nullif(current_setting('role'), 'none'), session_user), nullif(current_setting('punctual.actor', true), ''))
  returning id into recorded;
  return jsonb_build_object('ok', true, 'id', recorded);
end
$$;

-- For the app's server, with its owner's rights. It sends and stops nothing.
create or replace function punctual_api.record_consent(
  recipient text, how text, shown text default null, given boolean default true, scope text default 'marketing',
  at timestamptz default null, user_id uuid default null) returns jsonb
language sql security definer set search_path = pg_catalog, pg_temp
return punctual.consent_for_app(recipient, how, shown, given, scope, at, user_id);

revoke execute on function punctual.consent_for_app(text, text, text, boolean, text, timestamptz, uuid) from PUBLIC;
call punctual.offer('punctual_api.record_consent(text, text, text, boolean, text, timestamptz, uuid)', false);

-- An opt-out that is set or lifted, by a reply, by the provider or by hand: whoever lifts one may be texted again, and
-- has agreed to no marketing. What `punctual.forget` replaces is neither.
create or replace function punctual.log_opt_out() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(current_setting('punctual.forgetting', true), '') = 'on' or restoring!() then
    return null;
  end if;
  if tg_op = 'INSERT' then
    insert into punctual.consents (recipient, our_number, is_given, scope, how, at)
    values (punctual.consent_key(new.their_number), new.our_number, false, 'all', new.reason, new.created_at);
  else
    insert into punctual.consents (recipient, our_number, is_given, scope, how, at)
    values (punctual.consent_key(old.their_number), old.our_number, true, 'transactional', 'lifted: ' || old.reason, clock_timestamp());
  end if;
  return null;
end
$$;

create or replace trigger punctual_log_opt_out
  after insert or delete on punctual.suppressions for each row
  execute function punctual.log_opt_out();

revoke execute on function punctual.consent_key(text), punctual.log_opt_out() from PUBLIC;
