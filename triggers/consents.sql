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

-- Whether it is one that can be somebody's: a phone number that begins with + and its country, an e-mail address, a URL
-- or the id of a user. Without its country a number would be recorded as somebody else's, and with the (0) of a
-- national one as nobody's.
create or replace function punctual.is_recipient(recipient text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case
    when bare ~ '^\+' then bare ~ '^\+[^0-9[:alpha:]/@]*[1-9][^[:alpha:]/@]*$' and bare !~ '\(\s*0\s*\)'
                           and length(regexp_replace(bare, '[^0-9]', '', 'g')) between 7 and 15
    when bare ~ '^https?://' then bare ~* '^https?://[!-~]+$'
    else bare ~ '^[^[:space:]@]+@[^[:space:]@]+$' or bare ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' end
    from (select regexp_replace(btrim(recipient, white!()), '^whatsapp:', '') as bare) r
$$;

-- Records that somebody has agreed, or has withdrawn that. Whoever may do so calls `punctual_api.record_consent`, which
-- calls this with its owner's rights.
create or replace function punctual.consent_for_app(recipient text, how text, shown text, given boolean, scope text,
                                                    at timestamptz, user_id uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  recorded bigint;
  wrong constant text := case
    when punctual.is_recipient(recipient) is not true or length(recipient) > 2048
      then 'recipient must be a phone number that begins with + and its country, an e-mail address, a URL or the id of a user'
    when coalesce(btrim(how, white!()), '') = '' or length(how) > 200 then 'how must have 1 to 200 characters, like web form'
    when length(shown) > 10000 then 'shown must have at most 10000 characters'
    when given is null then 'given must be true or false'
    when scope is null or scope not in ('marketing', 'transactional', 'all')
      then 'scope must be marketing, transactional or all'
    when at > clock_timestamp() + interval '5 minutes' then 'at must not be in the future'
    when at < '1990-01-01+00' then 'at must not be before 1990'
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

-- What is in the log stays as it is, but for what `punctual.forget` replaces. A role with rights on the table, its
-- owner too, makes no mistake here; whoever may alter the table can still take this away.
create or replace function punctual.keep_consents() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(current_setting('punctual.forgetting', true), '') = 'on' or restoring!() then
    return null;
  end if;
  raise exception using errcode = 'PT409', message = 'a row of punctual.consents is never changed',
    hint = 'Record another one; punctual forget removes a recipient.';
end
$$;

create or replace trigger punctual_keep_consents
  before update or delete or truncate on punctual.consents for each statement
  execute function punctual.keep_consents();

-- An opt-out that is set, changed or lifted, by a reply, by the provider or by hand: whoever lifts one may be texted
-- again, and has agreed to no marketing. What `punctual.forget` replaces is neither.
create or replace function punctual.log_opt_out() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  is_moved constant boolean := tg_op = 'UPDATE' and (old.our_number, old.their_number)
                                                    is distinct from (new.our_number, new.their_number);
begin
  if coalesce(current_setting('punctual.forgetting', true), '') = 'on' or restoring!() then
    return null;
  end if;
  if tg_op = 'DELETE' or is_moved then
    insert into punctual.consents (recipient, our_number, is_given, scope, how, at)
    values (punctual.consent_key(old.their_number), old.our_number, true, 'transactional', 'lifted: ' || old.reason, clock_timestamp());
  end if;
  if tg_op = 'INSERT' or is_moved or tg_op = 'UPDATE' and old.reason is distinct from new.reason then
    insert into punctual.consents (recipient, our_number, is_given, scope, how, at)
    values (punctual.consent_key(new.their_number), new.our_number, false, 'all', new.reason,
            case when tg_op = 'INSERT' then new.created_at else clock_timestamp() end);
  end if;
  return null;
end
$$;

create or replace trigger punctual_log_opt_out
  after insert or update or delete on punctual.suppressions for each row
  execute function punctual.log_opt_out();

-- A truncate lifts all of them as a delete does, and is logged as one.
create or replace function punctual.log_opt_outs_truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from punctual.suppressions;
  return null;
end
$$;

create or replace trigger punctual_log_opt_outs_truncated
  before truncate on punctual.suppressions for each statement
  execute function punctual.log_opt_outs_truncated();

revoke execute on function punctual.consent_key(text), punctual.is_recipient(text), punctual.keep_consents(), punctual.log_opt_out(),
  punctual.log_opt_outs_truncated() from PUBLIC;
