-- Triggers on scheduled_messages: the guard, which refuses changes that come too late, and the notifications.
-- Re-runnable; replaced as a whole.
--
-- They run inside the app's own statements, as whatever role the app uses. So they read no table but their
-- transition tables (two exceptions, below), call nothing that needs a right on schema punctual, and have a fixed
-- search_path. A session of Punctual's is one that has set punctual.writer to 'on' and whose role may write
-- the ledger: so no role of the app's can turn the guard off. A role that can, and is not a daemon's, is recorded
-- unless it names a program number too (triggers/writers.sql).
-- `due!(m)`, `user_transitions!()` and the like are substituted: README.md here.

-- ---------------------------------------------------------------- guard: rows

-- On UPDATE. The tables of transitions, of the daemon and of all others, are those of
-- `message::status::transition`.
create or replace function punctual.guard_daemon() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if new.status = old.status
     or (case old.status
          daemon_transitions!()
          else false
        end)
  then
    -- A part of a cancelled message may turn out to be accepted: then the reason has the new number.
    if new.status = 'cancelled' and new.parts_done > 0
       and (old.status <> 'cancelled' or new.parts_done <> old.parts_done)
    then
      new.cancel_reason := concat_ws('; ',
        nullif(regexp_replace(new.cancel_reason, '(^|; )[0-9]+ of [0-9?]+ parts sent$', ''), ''), parts_sent!(new));
    end if;
    return new;
  end if;
  raise exception using errcode = 'PT409',
    message = format('message %s cannot go from %s to %s', old.id, old.status, new.status);
end
$$;

-- The daemon moves a message with its event while it is pending. After that the time stays what the claim read.
create or replace function punctual.guard_daemon_content() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = 'PT409',
    message = format('message %s is %s; it is too late to change it', old.id, old.status);
end
$$;

-- What has begun to be sent, or has been sent, keeps all that the claim read of it. Between its parts a message
-- may only be cancelled, whatever its status; sent again, it goes on at the first part that was not accepted. A
-- statement over many rows skips the rows that it may not change, and the statement trigger reports how many; a
-- nested statement (a cascade, a trigger of the app's) fails instead, because a skipped row would leave the app
-- half-changed.
create or replace function punctual.guard_update() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  nested constant boolean := pg_trigger_depth() > 1;
  -- What is refused: to `cancel` or to `change` the message.
  refused text;
  earlier text[];
begin
  if new.id <> old.id then
    raise exception using errcode = 'PT409',
      message = format('the id of message %s cannot be changed: its attempts are kept by it', old.id),
      hint = 'Insert a new row, and delete or cancel this one.';
  end if;
  -- The app's clock may have milliseconds only, as JavaScript's: a time that was read and is written back is
  -- no change.
  if new.scheduled_at in (date_trunc('milliseconds', old.scheduled_at), old.scheduled_at::timestamptz(3)) then
    new.scheduled_at := old.scheduled_at;
  end if;
  if new.send_before in (date_trunc('milliseconds', old.send_before), old.send_before::timestamptz(3)) then
    new.send_before := old.send_before;
  end if;
  if new.event_start in (date_trunc('milliseconds', old.event_start), old.event_start::timestamptz(3)) then
    new.event_start := old.event_start;
  end if;

  if new.status is distinct from old.status
     and not (case old.status
               user_transitions!()
               -- A status of the app's own, from before Punctual, may be left.
               else true
             end)
  then
    if new.status <> 'cancelled' or nested then
      raise exception using errcode = 'PT409',
        message = format('message %s is %s; it cannot be made %s', old.id, old.status, new.status),
        hint = case old.status
                 when 'sending' then 'It is being sent this moment.'
                 when 'unconfirmed' then 'Whether it was sent is not known; settle it with: punctual resolve ' || old.id
                 else 'To send it again, insert a new row.'
               end;
    end if;
    refused := 'cancel';
  elsif (old.status in ('sending', 'sent', 'delivered', 'unconfirmed') or old.parts_done > 0)
        and ((new.to_number, new.from_number, new.subject, new.body, new.media_urls, new.scheduled_at, new.channel, new.account, new.template_vars,
              new.timezone, new.send_before, new.message_type, new.priority, new.dedup_key,
              new.calendar_event_id, new.event_start, new.max_attempts)
             is distinct from
             (old.to_number, old.from_number, old.subject, old.body, old.media_urls, old.scheduled_at, old.channel, old.account, old.template_vars,
              old.timezone, old.send_before, old.message_type, old.priority, old.dedup_key,
              old.calendar_event_id, old.event_start, old.max_attempts)
             -- A foreign key's `on delete set null` is allowed.
             or (new.user_id is distinct from old.user_id and not (nested and new.user_id is null))
             or (new.template_id is distinct from old.template_id and not (nested and new.template_id is null)))
  then
    if nested then
      raise exception using errcode = 'PT409',
        message = format('message %s is %s; it is too late to change it', old.id,
                         concat_ws(', ', old.status, case when old.parts_done > 0 then parts_sent!(old) end));
    end if;
    refused := 'change';
  end if;
  -- Too late: the row is skipped and counted, and `guard_statement` reports it.
  if refused is not null then
    earlier := string_to_array(nullif(current_setting('punctual.refused_update', true), ''), ' ');
    perform set_config('punctual.refused_update',
                       concat_ws(' ', coalesce(earlier[1]::int, 0) + 1, old.id, old.status,
                                 case when earlier[4] <> refused then 'change' else refused end, case when old.parts_done > 0 then old.parts_done || '/' || old.parts_total end), true);
    return null;
  end if;

  new.attempts := old.attempts;
  new.parts_done := old.parts_done;
  new.parts_total := case when new.status = 'pending' and channel!(new) = 'webhook' and coalesce(btrim(new.to_number, white!()), '') = '' then -1 else old.parts_total end;
  new.next_attempt_at := old.next_attempt_at;
  new.deferred_until := old.deferred_until;
  -- Lateness counts from it: an app that writes whole rows back must not make one too late.
  new.requeued_at := old.requeued_at;
  new.twilio_sid := old.twilio_sid;
  new.delivered_at := old.delivered_at;
  new.version := old.version + 1;

  if new.status = 'pending' and not is_understood!(new) then
    new.status := 'failed';
    new.error_message := not_understood!(new);
  -- An edit of the time, or a row that is set back to pending, drops every deferral and backoff, and its
  -- attempts count from 0 again.
  elsif new.status = 'pending'
     and (new.scheduled_at is distinct from old.scheduled_at or old.status <> 'pending')
  then
    new.deferred_until := null;
    new.deferred_reason := null;
    new.next_attempt_at := null;
    new.attempts := 0;
    new.requeued_at := clock_timestamp();
    if old.status <> 'pending' then
      new.sent_at := null;
      new.error_message := null;
      new.error_code := null;
      new.twilio_sid := null;
      new.cancelled_at := null;
      new.cancel_reason := null;
    end if;
  elsif new.status = 'cancelled' and old.status <> 'cancelled' then
    new.cancelled_at := clock_timestamp();
    new.cancel_reason := case when new.parts_done = 0 then new.cancel_reason
                              else concat_ws('; ', nullif(new.cancel_reason, ''), parts_sent!(new)) end;
  end if;
  return new;
end
$$;

-- ---------------------------------------------------------------- inserts
--
--   guard_insert, on each row ─▶ webhook_url (a webhook without a URL)
--        └─▶ validate.sql (what is not plain)          notify_insert, on the statement: what is near
--
-- Most messages are texts that are due in days, and nothing is to be done about them. That is found first, and as
-- cheaply as can be, because an app may insert one row a statement. What costs is not what is done with a row:
--
-- - Postgres reads the condition of a trigger from its text once a statement, at about 1 µs for 200 characters of a
--   text that is several times as long as the condition. So the conditions here are the shortest possible.
-- - A `search_path` of a function's own costs 5 µs a call. The two functions that every insert calls have none. Until
--   they set one, because there is more to do, everything in them that is looked up in the path, types too, is named
--   with its schema: `operator(pg_catalog.=)`. `tests/pg/app_path.rs` runs them where all other names are somebody's.

-- Before INSERT. In an `insert … on conflict do update` it runs for rows that will be updates too, so it refuses
-- nothing.
create or replace function punctual.guard_insert() returns trigger
language plpgsql as $$
declare
  path pg_catalog.text;
  by_writer boolean := false;
  is_kept boolean;
  is_known boolean := false;
begin
  begin
    -- What was read for the check of a row holds for some seconds: the separator, the zone, if it is one, and words of
    -- the app's own.
    if new.status operator(pg_catalog.=) 'pending'
       and new.attempts operator(pg_catalog.=) 0 and new.parts_done operator(pg_catalog.=) 0
       and new.version operator(pg_catalog.=) 0
       and pg_catalog.num_nonnulls(new.parts_total, new.next_attempt_at, new.deferred_until, new.requeued_at,
                                   new.twilio_sid, new.delivered_at) operator(pg_catalog.=) 0
       and is_plain!(new)
       and (is_known!(new)
            or pg_catalog.concat(new.priority, '/', new.in_doubt, '/', new.max_attempts)
               operator(pg_catalog.=) pg_catalog.current_setting('punctual.words', true))
       and (new.timezone is null
            or new.timezone::pg_catalog.text operator(pg_catalog.=) pg_catalog.current_setting('punctual.zone', true))
       and (new.template_vars is not null
            or pg_catalog.strpos(new.body::pg_catalog.text, pg_catalog.current_setting('punctual.separator', true))
               operator(pg_catalog.=) 0)
       and pg_catalog.current_setting('punctual.read_at', true) operator(pg_catalog.=) these_seconds!()
       and coalesce(pg_catalog.current_setting('punctual.writer', true), '') operator(pg_catalog.<>) 'on'
    then
      return new;
    end if;
  -- The app may have dropped a column, or altered it to what does not compare.
  exception when others then
    null;
  end;
  path := pg_catalog.current_setting('search_path');
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  begin
    is_known := is_known!(new);
  -- A column has another type than when this session first came here: validate() looks at it again.
  exception when undefined_column or datatype_mismatch then
    null;
  end;
  if current_setting('punctual.writer', true) = 'on' then
    by_writer := may_write_ledger!();
  end if;
  is_kept := new.status <> 'pending';
  -- Asked first: a condition with a subquery would cost each row as much as the rest of this function.
  if current_setting('row_security') = 'off' then
    is_kept := is_kept or restoring!();
  end if;
  if not is_kept then
    new.attempts := 0;
    new.parts_done := 0;
    new.parts_total := null;
    new.next_attempt_at := null;
    new.deferred_until := null;
    new.requeued_at := null;
    new.version := 0;
    new.twilio_sid := null;
    new.delivered_at := null;
    -- One of a template that has no variables needs neither a text nor any.
    begin
      if btrim(new.body, white!()) = '' and new.template_id is not null and new.template_vars is null then
        new.template_vars := '{}';
      end if;
    -- The app has dropped one of them, or altered its type.
    exception when undefined_column or datatype_mismatch then
      null;
    end;
    if not is_understood!(new) then
      new.status := 'failed';
      new.error_message := not_understood!(new);
    elsif not by_writer and channel!(new) = 'webhook' and coalesce(btrim(new.to_number, white!()), '') = '' then
      -- For webhook_url, which takes it back.
      new.parts_total := -1;
    end if;
  end if;
  -- For the check of the statement (validate.sql), which takes it back.
  if not by_writer or not is_known or is_unnamed_writer!() then
    perform set_config('punctual.judge', 'on', true);
  end if;
  perform set_config('search_path', path, true);
  return new;
end
$$;

-- Webhooks whose row names no URL: theirs is that of their message type, by the settings that the daemon keeps
-- (PUNCTUAL_WEBHOOK_URLS). It is written into the row, so that everybody sees what will be called, and a change of the
-- settings moves nothing that is scheduled. Where there is neither, the row fails when it is written; under
-- PUNCTUAL_VALIDATE = refuse nothing is written. The settings are read with the owner's rights, because the app's roles
-- have none on schema punctual.
create or replace function punctual.webhook_url() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  asked constant boolean := coalesce(current_setting('punctual.validate', true) = 'refuse', false);
  urls jsonb;
  mode text;
  fault text;
  remedy text;
begin
  if new.parts_total < 0 then
    new.parts_total := case when tg_op = 'UPDATE' then old.parts_total end;
  end if;
  if new.status <> 'pending' or channel!(new) <> 'webhook' or coalesce(btrim(new.to_number, white!()), '') <> ''
     or restoring!()
  then
    return new;
  end if;
  select s.webhook_urls, s.validate into urls, mode from punctual.settings s;
  new.to_number := urls ->> btrim(new.message_type, white!());
  if new.to_number is null then
    fault := 'it has no URL: none in to_number, nor in PUNCTUAL_WEBHOOK_URLS for its message_type';
    remedy := case when coalesce(btrim(new.message_type, white!()), '') = ''
                   then 'give it in to_number, or give a message_type that PUNCTUAL_WEBHOOK_URLS has a URL for'
                   else format('give it in to_number, or set PUNCTUAL_WEBHOOK_URLS for the message_type %s and restart the daemon',
                               to_json(left(new.message_type, 100)))
              end;
    if asked or mode = 'refuse' then
      raise exception using errcode = 'PT422',
        message = format('message %s cannot be sent: %s', new.id, fault),
        hint = format('Nothing was written: %s.', remedy);
    end if;
    new.to_number := '';
    new.status := 'failed';
    new.error_message := format('%s: %s', fault, remedy);
  end if;
  return new;
end
$$;

-- After INSERT. What only the daemon may make of a row is refused. And one notice for each statement, as notify_change
-- in scheduled_messages.sql has it.
create or replace function punctual.notify_insert() returns trigger
language plpgsql as $$
declare
  path pg_catalog.text;
  by_writer boolean := false;
  refused pg_catalog.text;
  near pg_catalog.timestamptz;
  named constant int := 200;
  ids pg_catalog.text;
  notice pg_catalog.text;
  n int;
begin
  if not exists (
    select from new_rows r
     where (r.status operator(pg_catalog.=) 'pending'
            and due!(r) operator(pg_catalog.>)
                (pg_catalog.clock_timestamp() operator(pg_catalog.+) '2 hours'::pg_catalog.interval)) is not true)
  then
    return null;
  end if;
  path := pg_catalog.current_setting('search_path');
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  if current_setting('punctual.writer', true) = 'on' then
    by_writer := may_write_ledger!();
  end if;
  -- Also what a trigger of the app's has made of a row that was judged.
  select r.status into refused from new_rows r where r.status <> all (string_to_array(statuses!(), ',')) limit 1;
  if refused is not null then
    raise exception using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name,
      column = 'status', constraint = 'scheduled_messages_status_punctual',
      message = format('the status of a new message is %s; it must be one of %s', to_json(left(refused, 40)), statuses!());
  end if;
  select r.status into refused
    from new_rows r
   where r.status in ('sending', 'delivered', 'unconfirmed') or r.status <> 'pending' and by_writer
   limit 1;
  if refused is not null and not restoring!() then
    raise exception using errcode = 'PT409',
      message = format('a new message cannot be %s', refused),
      hint = 'Insert it as pending.';
  end if;
  if not by_writer then
    near := clock_timestamp() + interval '2 hours';
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from new_rows r
             where r.status = 'pending'
               and due!(r) <= near
             limit named + 1) t;
    if n > 0 and may_notify!() then
      notice := case when n > named then 'rescan' else 'ids ' || ids end;
      say_notice!();
    end if;
  end if;
  perform set_config('search_path', path, true);
  return null;
end
$$;

-- On DELETE of a row that is being sent.
create or replace function punctual.guard_delete() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  earlier text[];
begin
  -- A cascade must fail as a whole: a skipped row would be left pointing at nothing.
  if pg_trigger_depth() > 1 then
    raise exception using errcode = 'PT409',
      message = format('message %s is being sent this moment; it cannot be deleted', old.id);
  end if;
  earlier := string_to_array(nullif(current_setting('punctual.refused_delete', true), ''), ' ');
  perform set_config('punctual.refused_delete',
                     concat_ws(' ', coalesce(earlier[1]::int, 0) + 1, old.id, old.status, 'delete'), true);
  return null;
end
$$;

-- Setting a failed or cancelled message back, while it is unknown whether an attempt at it reached the provider,
-- could text twice; and of one whose parts were all accepted nothing is left to send. It reads another table,
-- so it runs with its owner's rights.
create or replace function punctual.guard_put_back() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from punctual.attempts a
              where a.message_id = old.id
                and unsettled!(a))
  then
    raise exception using errcode = 'PT409',
      message = format('message %s has an attempt whose outcome is not known; sending it again could text twice', old.id),
      hint = 'Settle it first with: punctual resolve ' || old.id;
  end if;
  -- Its row in a table of the app's says who sends it.
  if coalesce(current_setting('punctual.from_source', true), '') <> 'on'
     and exists (select from punctual.source_rows r where r.message_id = old.id and r.taken)
  then
    raise exception using errcode = 'PT409',
      message = format('message %s follows a row that the app has taken', old.id),
      hint = 'Set that row back to be sent, and the message follows.';
  end if;
  if old.parts_done >= old.parts_total then
    raise exception using errcode = 'PT409',
      message = format('message %s cannot be sent again: %s', old.id, parts_sent!(old)),
      hint = 'To send it again, insert a new row.';
  end if;
  -- What would end the last lease of a job runs it again (job_runs.sql).
  if new.message_type = 'job_lease_end' then
    new.message_type := coalesce('job:' || substring(new.body from '"job_type": "([^"]+)"'), new.message_type);
  end if;
  return new;
end
$$;

-- ---------------------------------------------------------- guard: statements

-- After a statement that had rows skipped: an error if that was all, else a warning. Updates
-- and deletes are counted apart: a MERGE, or a WITH, has both in one statement.
create or replace function punctual.guard_statement() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  count constant text := 'punctual.refused_' || lower(tg_op);
  refused text[];
  -- Of the message that is named: its status, and how many of its parts were sent.
  standing text;
  changed boolean;
begin
  if pg_trigger_depth() > 1 then
    return null;
  end if;
  refused := string_to_array(nullif(current_setting(count, true), ''), ' ');
  if refused is null then
    return null;
  end if;
  perform set_config(count, '', true);
  standing := concat_ws(', ', refused[3], replace(refused[5], '/', ' of ') || ' parts sent');
  if tg_op = 'UPDATE' then
    changed := exists (select from new_rows);
  else
    changed := exists (select from old_rows);
  end if;
  if changed then
    raise warning '% of the messages were skipped: it is too late to % them (one of them: %, %)',
      refused[1], refused[4], refused[2], standing;
    return null;
  end if;
  raise exception using errcode = 'PT409',
    message = case
      when refused[1] = '1' and refused[3] = 'failed' and refused[4] = 'cancel'
        then format('message %s has already failed; there is nothing to cancel', refused[2])
      when refused[1] = '1'
        then format('message %s is %s; it is too late to %s it', refused[2], standing, refused[4])
      else format('it is too late to %s any of the %s messages (one of them: %s, %s)', refused[4], refused[1],
                  refused[2], standing)
    end,
    hint = case
      when refused[3] = 'sending' then 'It is being sent this moment.'
      when refused[3] = 'unconfirmed'
        then 'Whether it was sent is not known; settle it with: punctual resolve ' || refused[2]
      when refused[5] is not null
        then 'It can only be cancelled, or sent on as it is. To send something else, insert a new row.'
      when refused[4] = 'change'
        then 'To send something else, insert a new row. To blank what was sent: select punctual.erase(id)'
      else 'It has ended already.'
    end;
end
$$;

-- --------------------------------------------------------------------- notice

-- One notice for each statement, and only if a row of it is due within the notice window: a transaction that
-- notifies takes a server-wide lock at its commit. Where there is a change feed, the notice is a message of the log,
-- without that lock. The payload is a hint; the daemon that receives it reads the table.
-- `set local punctual.notify = 'off'` omits it, for a transaction that is to be prepared, which may not notify. The
-- window (2 h) is twice the largest horizon a daemon may have, so whatever is not reported here is in a later sweep of
-- the whole window.
create or replace function punctual.notify_change() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  near constant timestamptz := clock_timestamp() + interval '2 hours';
  named constant int := 200;
  ids text;
  notice text;
  n int;
begin
  if tg_op = 'DELETE' then
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from old_rows r
             where r.status = 'pending'
               and due!(r) <= near
             limit named + 1) t;
  else
    select string_agg(t.id::text, ','), count(*) into ids, n
      from (select r.id from new_rows r
             where r.status = 'pending'
               and due!(r) <= near
            union
            select r.id from old_rows r
             where r.status = 'pending'
               and due!(r) <= near
             limit named + 1) t;
  end if;
  if n > 0 and may_notify!() then
    notice := case when n > named then 'rescan' else 'ids ' || ids end;
    say_notice!();
  end if;
  return null;
end
$$;

-- Logical replication applies whole rows of another database, in which nothing is known of what was sent here: a status
-- from there would have a message sent twice. The change of such a row is not applied. A person's own session with
-- session_replication_role = replica is not concerned; a worker is known by its subscription, which every role may see.
-- It reads another table, as guard_put_back does.
create or replace function punctual.guard_replicated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from pg_stat_get_subscription(null) s where s.pid = pg_backend_pid())
     or old.status in ('failed', 'cancelled') and new.parts_done >= old.parts_done
        and not exists (select from punctual.attempts a where a.message_id = old.id and unsettled!(a))
  then
    return new;
  end if;
  raise warning 'message % is %; a change of it that came by replication was not applied', old.id, old.status;
  return null;
end
$$;

-- For a session that applies the changes of another database, where the triggers above do
-- not fire, nor any statement trigger. Once for each transaction, because equal notifications are merged.
create or replace function punctual.notify_replicated() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  near constant timestamptz := clock_timestamp() + interval '2 hours';
begin
  if (new.status = 'pending' and due!(new) <= near or old.status = 'pending' and due!(old) <= near)
     and may_notify!()
  then
    perform pg_notify('punctual', 'rescan');
  end if;
  return null;
end
$$;

-- After TRUNCATE.
create or replace function punctual.notify_truncate() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if may_notify!() then
    perform pg_notify('punctual', 'rescan');
  end if;
  return null;
end
$$;

-- ------------------------------------------------------------------- triggers
-- Guards are named to run last among the BEFORE triggers: they judge what will be stored.

-- A version before had a trigger of its own for what notify_insert refuses.
do $$
begin
  if exists (select from pg_catalog.pg_trigger t
              where t.tgrelid = 'public.scheduled_messages'::regclass and t.tgname = 'zzz_punctual_guard_inserted')
  then
    drop trigger zzz_punctual_guard_inserted on public.scheduled_messages;
  end if;
end
$$;
drop function if exists punctual.guard_inserted();

-- Their definitions name no column whose type the app may want to change: Postgres would refuse that.
create or replace trigger zzz_punctual_guard_insert
  before insert on public.scheduled_messages for each row
  execute function punctual.guard_insert();

-- At an UPDATE it is guard_update that asks for it.
create or replace trigger zzz_punctual_webhook_url
  before insert or update on public.scheduled_messages for each row
  when (new.parts_total < 0)
  execute function punctual.webhook_url();

create or replace trigger punctual_notify_insert
  after insert on public.scheduled_messages
  referencing new table as new_rows for each statement
  execute function punctual.notify_insert();

create or replace trigger zzz_punctual_guard_update
  before update on public.scheduled_messages for each row
  when (not is_writer!())
  execute function punctual.guard_update();

-- The daemon's everyday changes need no call: with many messages due at once it would be made thousands of
-- times. The two words are compared as one, which is half as long in the form that Postgres reads for each statement.
create or replace trigger zzz_punctual_guard_daemon
  before update on public.scheduled_messages for each row
  when (old.status || new.status <> all ('{pendingsending,sendingsent,sendingpending,sendingfailed}')
        and is_writer!())
  execute function punctual.guard_daemon();

-- `punctual.erase` blanks the variables.
create or replace trigger zzz_punctual_guard_content
  before update of scheduled_at, event_start, template_vars on public.scheduled_messages for each row
  when (coalesce(current_setting('punctual.writer', true), '') = 'on'
        and (old.status in ('sending', 'sent', 'delivered', 'unconfirmed') or old.parts_done > 0)
        and (new.scheduled_at, new.event_start, coalesce(new.template_vars, old.template_vars))
            is distinct from (old.scheduled_at, old.event_start, old.template_vars))
  execute function punctual.guard_daemon_content();

create or replace trigger zzz_punctual_put_back
  before update on public.scheduled_messages for each row
  when (old.status in ('failed', 'cancelled') and new.status = 'pending')
  execute function punctual.guard_put_back();

create or replace trigger zzz_punctual_guard_delete
  before delete on public.scheduled_messages for each row
  when (old.status = 'sending' and not is_writer!())
  execute function punctual.guard_delete();

create or replace trigger punctual_guarded_update
  after update on public.scheduled_messages
  referencing new table as new_rows for each statement
  when (not is_writer!())
  execute function punctual.guard_statement();

create or replace trigger punctual_guarded_delete
  after delete on public.scheduled_messages
  referencing old table as old_rows for each statement
  when (not is_writer!())
  execute function punctual.guard_statement();

create or replace trigger punctual_notify_update
  after update on public.scheduled_messages
  referencing old table as old_rows new table as new_rows for each statement
  when (not is_writer!())
  execute function punctual.notify_change();

create or replace trigger punctual_notify_delete
  after delete on public.scheduled_messages
  referencing old table as old_rows for each statement
  when (not is_writer!())
  execute function punctual.notify_change();

create or replace trigger punctual_notify_truncate
  after truncate on public.scheduled_messages for each statement
  execute function punctual.notify_truncate();

create or replace trigger zzz_punctual_guard_replicated
  before update on public.scheduled_messages for each row
  -- The origin knows nothing of the parts that were sent here.
  when (new.status <> old.status and old.status <> 'pending' or new.parts_done < old.parts_done)
  execute function punctual.guard_replicated();
alter table public.scheduled_messages enable replica trigger zzz_punctual_guard_replicated;

create or replace trigger punctual_notify_replicated
  after insert or update or delete on public.scheduled_messages for each row
  execute function punctual.notify_replicated();
alter table public.scheduled_messages enable replica trigger punctual_notify_replicated;
