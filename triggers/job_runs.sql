-- Jobs that the daemon has run by an endpoint of the app's (docs/jobs.md). Re-runnable; replaced as a whole.
--
--   queue_jobs ─▶ job_row ─▶ a message on channel webhook ─▶ the endpoint ─▶ job_answer
--   its outcome ─▶ job_back ─▶ queue_jobs; after 202 ─▶ job_next ─▶ a message at the end of the lease
--   the worker ─▶ job_complete, job_fail, job_progress ─▶ queue_jobs, and that message
--
-- queue_jobs is a source table (source `buildos_jobs`), so what the app itself does to a row is applied to its message
-- as of any other. The lease of a worker is a message too: it is due when the lease ends, and is the next run. So it
-- needs no timer of its own, and is seen, moved and cancelled as messages are. Each run is a message of its own, with
-- its own `webhook-id`: a worker that leaves out ids that it knows runs the job again.

-- Where jobs of this type are sent. Null: nowhere; the app's worker takes them.
create or replace function punctual.job_url(kind text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select s.job_urls ->> kind from punctual.settings s where kind not in ('send_sms', 'send_notification')
$$;

-- A row of queue_jobs as that of a source. Whatever columns the app's table lacks are left out.
create or replace function punctual.job_row(j jsonb) returns punctual.source_row
language sql stable set search_path = pg_catalog, pg_temp as $$
  select row(j ->> 'id', j ->> 'status', case when u.url is not null then (j ->> 'scheduled_for')::timestamptz end,
             jsonb_build_object('job_id', j -> 'id', 'job_type', j -> 'job_type', 'metadata', j -> 'metadata')::text,
             u.url, null, (j ->> 'user_id')::uuid, null, 'job:' || (j ->> 'job_type'),
             case when u.rank <= 2 then 'urgent' when u.rank <= 7 then 'high' when u.rank <= 14 then 'normal' else 'low' end,
             null, null, null, greatest(coalesce((j ->> 'max_attempts')::int, 3), 1), null, 'webhook')::punctual.source_row
    from (select punctual.job_url(j ->> 'job_type') as url, coalesce((j ->> 'priority')::int, 10) as rank) u
$$;

-- Writes these columns of a job, as far as its table has them. Quietly: the trigger of the source asks nothing of its
-- message.
create or replace function punctual.job_write(job uuid, become jsonb, quietly boolean default true) returns void
language plpgsql set search_path = pg_catalog, 'public', pg_temp as $$
begin
  perform set_config('punctual.job_call', case when quietly then job::text else '' end, true);
  execute (
    select format('update public.queue_jobs t set %s from jsonb_populate_record(null::public.queue_jobs, $2) p where t.id = $1',
                  string_agg(format('%1$I = p.%1$I', a.attname), ', '))
      from pg_catalog.pg_attribute a
     where a.attrelid = 'public.queue_jobs'::regclass and a.attnum > 0 and not a.attisdropped
       and (become ? a.attname or a.attname = 'updated_at'))
    using job, become || jsonb_build_object('updated_at', clock_timestamp());
  perform set_config('punctual.job_call', '', true);
end
$$;

-- The next run of a job, or the end of its last lease, which the daemon refuses to send: so it fails at that moment.
create or replace function punctual.job_next(job uuid, at timestamptz, attempts int, is_end boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  writer constant text := current_setting('punctual.writer', true);
  next_id constant uuid := gen_random_uuid();
  f punctual.source_row;
  before uuid;
begin
  select r.* into f from public.queue_jobs t cross join lateral punctual.job_row(to_jsonb(t)) r where t.id = job;
  select r.message_id into before from punctual.source_rows r where r.source = 'buildos_jobs' and r.key = job::text;
  delete from punctual.job_runs o where o.message_id = before;
  insert into punctual.job_runs (message_id, base) values (next_id, attempts);
  insert into punctual.source_rows as r (source, key, message_id) values ('buildos_jobs', job::text, next_id)
  on conflict (source, key) do update set message_id = excluded.message_id, taken = false;
  perform set_config('punctual.writer', '', true), set_config('punctual.from_source', 'on', true);
  insert into public.scheduled_messages (id, to_number, body, scheduled_at, status, user_id, channel, message_type, priority,
                                         max_attempts)
  values (next_id, coalesce(f.recipient, ''), f.body, at, 'pending', f.user_id, 'webhook',
          case when is_end then 'job_lease_end' else f.message_type end, f.priority, greatest(f.max_attempts - attempts, 1));
  perform set_config('punctual.writer', coalesce(writer, ''), true), set_config('punctual.from_source', '', true);
  -- What cannot be sent has failed when it was written.
  insert into punctual.source_writes (message_id)
  select m.id from public.scheduled_messages m where m.id = next_id and m.status <> 'pending';
end
$$;

-- Moves the message of a job, or cancels it, while it waits: what was claimed meanwhile is left.
create or replace function punctual.job_message(job uuid, at timestamptz, reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  writer constant text := current_setting('punctual.writer', true);
  message uuid;
begin
  select r.message_id into message from punctual.source_rows r
   where r.source = 'buildos_jobs' and r.key = job::text and not r.taken;
  if not found then
    return;
  end if;
  perform set_config('punctual.writer', '', true), set_config('punctual.from_source', 'on', true);
  update public.scheduled_messages m
     set scheduled_at = coalesce(at, m.scheduled_at), status = case when reason is null then m.status else 'cancelled' end,
         cancel_reason = coalesce(reason, m.cancel_reason), updated_at = clock_timestamp()
   where m.id = message and is_pending!(m);
  -- No outcome comes of what the daemon has not claimed.
  if found and reason is not null then
    delete from punctual.job_runs o where o.message_id = message;
  end if;
  perform set_config('punctual.writer', coalesce(writer, ''), true), set_config('punctual.from_source', '', true);
end
$$;

-- What an endpoint has answered is kept until the outcome is written to the job; `is_whole`: all of it.
create or replace function punctual.job_answer(message uuid, status int, answer text, is_whole boolean) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  insert into punctual.job_runs as o (message_id, status, answer, is_whole)
  select r.message_id, status, answer, is_whole from punctual.source_rows r
   where r.message_id = message and r.source = 'buildos_jobs'
  on conflict (message_id) do update
    set status = excluded.status, answer = excluded.answer, is_whole = excluded.is_whole;
end
$$;

-- An answer as the result of a job: JSON, or else a text.
create or replace function punctual.job_result(answer text, is_whole boolean) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if not is_whole then
    return jsonb_build_object('not_kept', answer);
  end if;
  return nullif(btrim(answer), '')::jsonb;
exception when data_exception then
  return to_jsonb(answer);
end
$$;

-- Writes the outcome of the message of a job to it: true: done, or there is nothing to do; false: the row is locked. A
-- job that its worker has ended meanwhile stays so.
create or replace function punctual.job_back(its_key text, message uuid) returns boolean
language plpgsql set search_path = pg_catalog, 'public', pg_temp as $$
#variable_conflict use_variable
declare
  now constant timestamptz := clock_timestamp();
  job uuid := its_key::uuid;
  j jsonb;
  m record;
  run punctual.job_runs;
  total int;
  has_ended boolean;
begin
  select to_jsonb(t) into j from public.queue_jobs t where t.id = job for no key update skip locked;
  if not found then
    return not exists (select from public.queue_jobs t where t.id = job);
  end if;
  select s.status, s.attempts, s.error_message, s.cancel_reason, s.message_type, s.requeued_at into m
    from punctual.source_rows r join public.scheduled_messages s on s.id = r.message_id
   where r.message_id = message and not r.taken and s.status <> 'sending';
  if not found then
    return true;
  end if;
  select * into run from punctual.job_runs o where o.message_id = message;
  total := coalesce(run.base, 0) + case when m.message_type = 'job_lease_end' then 0 else m.attempts end;
  -- What was set back by a person since then runs again, whatever of that was written to the job; and a request whose
  -- outcome is not known may be repeated.
  has_ended := j ->> 'status' in ('completed', 'failed', 'cancelled')
               and not coalesce(m.requeued_at > (j ->> 'processed_at')::timestamptz, false)
               and not (j ->> 'status' = 'failed' and coalesce(j ->> 'error_message', '') = 'outcome unknown: do not reset');
  if m.status = 'pending' then
    -- Ended while it was being sent, or set back by a person.
    if has_ended and (m.attempts > 0 or j ->> 'status' = 'completed') then
      perform punctual.job_message(job, null, 'the job has ended');
    else
      -- It is tried again anyway: what its worker said of the former request asks for no run of its own.
      update punctual.job_runs o set next_at = null where o.message_id = message and o.next_at is not null;
      perform punctual.job_write(job, jsonb_build_object(
        'status', case when m.attempts > 0 then 'retrying' else 'pending' end, 'attempts', total, 'error_message', m.error_message));
    end if;
  elsif has_ended then
    delete from punctual.job_runs o where o.message_id = message;
  elsif m.status in ('sent', 'delivered') and run.next_at is not null then
    perform punctual.job_write(job, jsonb_build_object('status', 'retrying', 'attempts', total));
    perform punctual.job_next(job, run.next_at, total, false);
  elsif m.status in ('sent', 'delivered') and run.status = 202 then
    perform punctual.job_write(job, jsonb_build_object(
      'status', 'processing', 'attempts', total, 'started_at', coalesce(j ->> 'started_at', now::text), 'error_message', null));
    perform punctual.job_next(job, now + interval '5 minutes', total, total >= coalesce((j ->> 'max_attempts')::int, 3));
  else
    perform punctual.job_write(job, jsonb_build_object('attempts', total, 'processed_at', now) || case m.status
      when 'failed' then jsonb_build_object('status', 'failed', 'error_message', case when m.message_type = 'job_lease_end'
        then format('its worker did not report within the lease, %s times', total) else m.error_message end)
      when 'cancelled' then jsonb_build_object('status', 'cancelled', 'error_message', m.cancel_reason)
      when 'unconfirmed' then jsonb_build_object('status', 'failed', 'error_message', 'outcome unknown: do not reset')
      else jsonb_build_object('status', 'completed', 'completed_at', now, 'started_at', coalesce(j ->> 'started_at', now::text),
                              'error_message', null, 'result', punctual.job_result(run.answer, run.is_whole)) end);
    delete from punctual.job_runs o where o.message_id = message and m.status <> 'unconfirmed';
  end if;
  return true;
end
$$;

-- ---------------------------------------------------------------- what workers call

-- Locks a job; false: it has ended, so there is nothing left to do for it. One whose request had no answer has not:
-- that request may have reached the worker, and is repeated.
create or replace function punctual.job_lock(job uuid, out j jsonb, out is_open boolean)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  select to_jsonb(t) into j from public.queue_jobs t where t.id = job for no key update;
  if not found then
    raise exception using errcode = 'PT404', message = format('there is no job %s', job), hint = 'Give its job_id.';
  end if;
  is_open := j ->> 'status' not in ('completed', 'failed', 'cancelled')
             or j ->> 'status' = 'failed' and coalesce(j ->> 'error_message', '') = 'outcome unknown: do not reset';
end
$$;

-- Ends a job as done.
create or replace function punctual.complete_job(job uuid, result jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  now constant timestamptz := clock_timestamp();
begin
  if not (select l.is_open from punctual.job_lock(job) l) then
    return false;
  end if;
  perform punctual.job_write(job, jsonb_build_object('status', 'completed', 'completed_at', now, 'processed_at', now,
                                                     'error_message', null, 'result', result));
  perform punctual.job_message(job, null, 'the job is completed');
  return true;
end
$$;

-- A run of a job has failed: it is run again after 30 s, doubling up to an hour, while it has attempts left.
create or replace function punctual.fail_job(job uuid, error text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  now constant timestamptz := clock_timestamp();
  j jsonb;
  is_open boolean;
  m record;
  total int;
  again timestamptz;
begin
  select l.j, l.is_open into j, is_open from punctual.job_lock(job) l;
  -- What was sent without an answer is sent again anyway.
  if not is_open or j ->> 'status' = 'failed' then
    return false;
  end if;
  select s.id, s.status, coalesce(o.base, 0) + case when s.message_type = 'job_lease_end' then 0 else s.attempts end as runs into m
    from punctual.source_rows r
    join public.scheduled_messages s on s.id = any (array[r.message_id])
    left join punctual.job_runs o on o.message_id = r.message_id
   where r.source = 'buildos_jobs' and r.key = job::text and not r.taken
     for no key update of s;
  total := coalesce(m.runs, (j ->> 'attempts')::int, 0);
  if total >= coalesce((j ->> 'max_attempts')::int, 3) then
    perform punctual.job_write(job, jsonb_build_object('status', 'failed', 'attempts', total, 'processed_at', now,
                                                       'error_message', error));
    perform punctual.job_message(job, null, 'the job has failed');
    return true;
  end if;
  again := now + least(power(2, least(greatest(total, 1), 8) - 1) * 30, 3600) * interval '1 second';
  -- If no message of it waits or is under way, the source makes one.
  perform punctual.job_write(job, jsonb_build_object('status', 'retrying', 'scheduled_for', again, 'error_message', error),
                             coalesce(m.status in ('pending', 'sending', 'sent', 'delivered'), false));
  if m.status = 'pending' then
    perform punctual.job_message(job, again, null);
  elsif m.status in ('sending', 'sent', 'delivered') then
    -- Its outcome is not written yet: job_back makes the next run.
    insert into punctual.job_runs as o (message_id, next_at) values (m.id, again)
    on conflict (message_id) do update set next_at = excluded.next_at;
  end if;
  return true;
end
$$;

-- A worker reports how far it is: its lease begins again.
create or replace function punctual.progress_job(job uuid, current int, total int, message text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  j jsonb;
  is_open boolean;
begin
  select l.j, l.is_open into j, is_open from punctual.job_lock(job) l;
  if not is_open then
    return false;
  end if;
  perform punctual.job_write(job, jsonb_build_object('metadata', coalesce(nullif(j -> 'metadata', 'null'), '{}')
    || jsonb_build_object('progress', jsonb_build_object('current', current, 'total', total, 'message', message))));
  if j ->> 'status' = 'processing' then
    perform punctual.job_message(job, clock_timestamp() + interval '5 minutes', null);
  end if;
  return true;
end
$$;

-- Has jobs followed that were there before their type had a URL, as many as this past a key: the last one, and how many
-- there were. Once the last is, there are none of these types without a message: nothing is looked for until another
-- type has a URL.
create or replace function punctual.follow_jobs(past text, most int, out last_key text, out followed int)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  followed := 0;
  if exists (select from punctual.sources s where s.name = 'buildos_jobs' and s.definition ? 'jobs')
     and exists (select from punctual.settings s
                  where exists (select from jsonb_object_keys(s.job_urls) kind where kind <> all (s.followed_jobs)))
  then
    select f.last_key, f.followed into last_key, followed from punctual.source_fill('buildos_jobs', past, most) f;
    -- What is locked is not waited for: the next start looks for it.
    if last_key is null and not punctual.source_left('buildos_jobs') then
      update punctual.settings s set followed_jobs = array(select kind from jsonb_object_keys(s.job_urls) kind order by kind)
       where s.one;
    end if;
  end if;
end
$$;

revoke execute on function punctual.job_url(text), punctual.job_row(jsonb), punctual.job_write(uuid, jsonb, boolean),
  punctual.job_next(uuid, timestamptz, int, boolean), punctual.job_message(uuid, timestamptz, text),
  punctual.job_answer(uuid, int, text, boolean), punctual.job_back(text, uuid), punctual.job_lock(uuid),
  punctual.complete_job(uuid, jsonb), punctual.fail_job(uuid, text), punctual.progress_job(uuid, int, int, text),
  punctual.follow_jobs(text, int) from PUBLIC;

-- What a role that may put messages into the app needs beside it, if an earlier version granted it that.
call punctual.grant_with('punctual.has_in_app(uuid, int)', 'punctual.job_answer(uuid, int, text, boolean)');
call punctual.grant_with('punctual.has_in_app(uuid, int)', 'punctual.follow_jobs(text, int)');

-- Of an earlier version.
drop function if exists punctual.follow_jobs(int);
