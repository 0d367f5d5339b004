-- Records in punctual.operator_history who sets, changes and ends pauses and paces, from what to what. Re-runnable;
-- replaced as a whole.

-- With the owner's rights, so that a role that may write pauses or paces can neither leave this out nor change it. It
-- cannot fail: what could not be recorded is a warning in the server's log, because a pause is urgent.
create or replace function punctual.record_act() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  hidden constant text[] := array['scope', 'what', 'id', 'seed', 'position', 'next_at', 'token', 'slot'];
  claims constant text := nullif(current_setting('request.jwt.claims', true), '');
  before constant jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) - hidden end;
  after constant jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) - hidden end;
  its_subject text := nullif(current_setting('request.jwt.claim.sub', true), '');
  its_scope text;
  its_what text;
begin
  if before = after and (tg_op <> 'UPDATE' or (old.scope, old.what) = (new.scope, new.what)) then
    return null;
  end if;
  -- A pause that is over is deleted some time later.
  if tg_op = 'DELETE' and tg_argv[0] = 'pause' and (before ->> 'until')::timestamptz <= clock_timestamp() then
    return null;
  end if;
  begin
    if claims is not null then
      begin
        its_subject := coalesce(claims::jsonb ->> 'sub', its_subject);
      -- Whatever else an app keeps there.
      exception when others then
      end;
    end if;
    if tg_op = 'DELETE' then
      its_scope := old.scope;
      its_what := old.what;
    else
      its_scope := new.scope;
      its_what := new.what;
    end if;
    insert into punctual.operator_history (kind, scope, what, op, role, actor, subject, application, old, new)
    values (tg_argv[0], its_scope, its_what, lower(tg_op),
            coalesce(nullif(current_setting('role'), 'none'), session_user),
            left(nullif(current_setting('punctual.actor', true), ''), 200), left(its_subject, 200),
            nullif(current_setting('application_name'), ''),
            case when tg_op = 'UPDATE' and (old.scope, old.what) <> (new.scope, new.what)
                 then before || jsonb_build_object('scope', old.scope, 'what', old.what) else before end, after);
  exception when others then
    raise warning 'a change of a % could not be recorded in punctual.operator_history: SQLSTATE %', tg_argv[0], sqlstate;
  end;
  return null;
end
$$;

-- A truncate ends what is there as a delete does, and is recorded as one.
create or replace function punctual.record_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  begin
    if tg_argv[0] = 'pause' then
      delete from punctual.pauses;
    else
      delete from punctual.paces;
    end if;
  exception when others then
    raise warning 'a truncate of each % could not be recorded in punctual.operator_history: SQLSTATE %', tg_argv[0], sqlstate;
  end;
  return null;
end
$$;

create or replace trigger punctual_pause_history
  after insert or update or delete on punctual.pauses for each row
  execute function punctual.record_act('pause');

-- Claims move a pace on, and change none of these.
create or replace trigger punctual_pace_history
  after insert or update of scope, what, gap_min, gap_max, burst or delete on punctual.paces for each row
  execute function punctual.record_act('pace');

create or replace trigger punctual_pause_history_truncate
  before truncate on punctual.pauses for each statement
  execute function punctual.record_truncate('pause');

create or replace trigger punctual_pace_history_truncate
  before truncate on punctual.paces for each statement
  execute function punctual.record_truncate('pace');
