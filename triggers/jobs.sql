-- Jobs of the app (docs/jobs.md): how they are added. Re-runnable; replaced as a whole.
--
-- The tables are those of preset `buildos`. What is called here has the owner's rights, because users have none on
-- them; who may do what is said by `job_caller`.

-- Refuses a caller who is a user, or nobody, and asks for another: on Supabase the role is in the session, and the user
-- in the token that PostgREST has checked. The app's own server is neither.
create or replace function punctual.job_caller(whose uuid) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  caller constant text := coalesce(nullif(current_setting('role', true), 'none'), session_user);
  subject constant text := nullif(current_setting('request.jwt.claims', true), '')::json ->> 'sub';
begin
  if whose is null then
    raise exception using errcode = 'PT422', message = 'p_user_id is missing', hint = 'Give the id of a user.';
  elsif caller not in ('anon', 'authenticated') then
    return false;
  elsif caller = 'anon' or subject is distinct from whose::text then
    raise exception using errcode = 'PT403', message = 'this is another user''s', hint = 'p_user_id must be auth.uid().';
  end if;
  return true;
end
$$;

-- Adds a job; the id of it, or of the one with its key that is not done yet.
create or replace function punctual.add_job(
  whose uuid, kind text, about jsonb, rank int, due timestamptz, key text, named uuid default gen_random_uuid())
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  made uuid;
  owner uuid;
begin
  if due is null or not isfinite(due) then
    raise exception using errcode = 'PT422', message = 'p_scheduled_for is missing', hint = 'Give a time, or leave it out.';
  end if;
  begin
    perform jsonb_populate_record(null::public.queue_jobs, jsonb_build_object('job_type', kind));
  exception when invalid_text_representation then
    raise exception using errcode = 'PT422', message = format('there is no job type %s', to_json(left(kind, 60))),
      hint = coalesce('It is one of ' || (select string_agg(e.enumlabel, ', ' order by e.enumsortorder)
                                            from pg_catalog.pg_enum e where e.enumtypid = to_regtype('public.queue_type')) || '.',
                      'See the type of queue_jobs.job_type.');
  end;
  -- Between two of these another session may add one, or end it.
  for attempt in 1..20 loop
    if key is not null then
      select j.id, j.user_id into made, owner from public.queue_jobs j
       where j.dedup_key = key and j.status::text in ('pending', 'processing', 'retrying')
       order by j.created_at limit 1;
      if found and owner is distinct from whose then
        raise exception using errcode = 'PT409', message = 'a job of another user has this p_dedup_key',
          hint = 'Put the id of the user into the key.';
      elsif found then
        return made;
      end if;
    end if;
    insert into public.queue_jobs (id, user_id, job_type, queue_job_id, scheduled_for, priority, metadata, dedup_key)
    select named, n.user_id, n.job_type, named::text, n.scheduled_for, n.priority, n.metadata, n.dedup_key
      from jsonb_populate_record(null::public.queue_jobs, jsonb_build_object(
             'user_id', whose, 'job_type', kind, 'scheduled_for', due, 'priority', coalesce(rank, 10),
             'metadata', coalesce(about, '{}'), 'dedup_key', key)) n
    on conflict do nothing;
    if found then
      return named;
    end if;
  end loop;
  raise exception using errcode = '40001', message = 'jobs with this key are added and ended all the time',
    hint = 'Try again.';
end
$$;

-- The same for the app: users add jobs of their own, but for those that would text whatever their metadata says.
create or replace function punctual.ask_for_job(whose uuid, kind text, about jsonb, rank int, due timestamptz, key text)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Asked first, and by itself: a condition may be decided without it.
  is_user constant boolean := punctual.job_caller(whose);
begin
  if is_user and kind in ('send_sms', 'send_notification') then
    raise exception using errcode = 'PT403', message = format('users cannot add jobs of type %s', kind),
      hint = 'For a text, call queue_sms_message.';
  elsif kind is null then
    raise exception using errcode = 'PT422', message = 'p_job_type is missing', hint = 'Give a type of queue_type.';
  end if;
  return punctual.add_job(whose, kind, about, rank, due, key);
end
$$;

-- A text: its row, which is sent at its time, and, if that is within five minutes, the job for it, which gets what
-- becomes of the row. Both in this statement.
create or replace function punctual.queue_sms(
  whose uuid, number text, words text, urgency text, due timestamptz, about jsonb) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  is_user constant boolean := punctual.job_caller(whose);
  text_id constant uuid := gen_random_uuid();
  at constant timestamptz := coalesce(due, clock_timestamp());
  is_soon constant boolean := at <= clock_timestamp() + interval '5 minutes';
  job uuid;
begin
  if is_user
     and not exists (select from public.user_sms_preferences p
                      where p.user_id = whose and p.phone_verified and p.phone_number = number)
  then
    raise exception using errcode = 'PT403', message = 'the number is not verified as this user''s',
      hint = 'Users may have texts sent to the number that they have verified, and to no other.';
  elsif coalesce(number, '') !~ '^\+[1-9][0-9]{6,14}$' then
    raise exception using errcode = 'PT422', message = 'p_phone_number is not valid', hint = 'Like +12025550123.';
  elsif coalesce(words, '') !~ '\S' or char_length(words) > 1600 then
    raise exception using errcode = 'PT422', message = 'p_message has 1 to 1,600 characters', hint = 'Shorten it.';
  elsif not isfinite(at) then
    raise exception using errcode = 'PT422', message = 'p_scheduled_for is not a time', hint = 'Give one, or leave it out.';
  end if;
  if is_soon then
    job := punctual.add_job(
      whose, 'send_sms',
      jsonb_build_object('message_id', text_id, 'phone_number', number, 'message', words, 'user_id', whose, 'priority', urgency),
      case urgency when 'urgent' then 1 when 'high' then 5 when 'low' then 20 else 10 end, at, null);
  end if;
  insert into public.sms_messages (id, user_id, phone_number, message_content, status, priority, scheduled_for, queue_job_id,
                                   metadata)
  select text_id, whose, number, words, n.status, n.priority, at, job, coalesce(about, '{}')
    from jsonb_populate_record(null::public.sms_messages,
                               jsonb_build_object('status', 'scheduled', 'priority', coalesce(urgency, 'normal'))) n;
  return text_id;
end
$$;

revoke execute on function punctual.job_caller(uuid), punctual.add_job(uuid, text, jsonb, int, timestamptz, text, uuid),
  punctual.ask_for_job(uuid, text, jsonb, int, timestamptz, text),
  punctual.queue_sms(uuid, text, text, text, timestamptz, jsonb) from PUBLIC;

-- Makes the functions for the app: what preset `buildos` calls once the tables are there.
create or replace procedure punctual.offer_jobs()
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_regclass('public.queue_jobs') is null then
    return;
  end if;
  if punctual.may_offer('add_queue_job') then
    create or replace function public.add_queue_job(
      p_user_id uuid, p_job_type text, p_metadata jsonb, p_priority int default 10,
      p_scheduled_for timestamptz default now(), p_dedup_key text default null) returns uuid
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as 'select punctual.ask_for_job($1, $2, $3, $4, $5, $6)';
    call punctual.offer('public.add_queue_job(uuid, text, jsonb, int, timestamptz, text)', true);
  end if;
  if to_regclass('public.sms_messages') is not null and to_regtype('public.sms_priority') is not null
     and punctual.may_offer('queue_sms_message')
  then
    create or replace function public.queue_sms_message(
      p_user_id uuid, p_phone_number text, p_message text, p_priority public.sms_priority default 'normal',
      p_scheduled_for timestamptz default null, p_metadata jsonb default '{}') returns uuid
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as 'select punctual.queue_sms($1, $2, $3, $4::text, $5, $6)';
    call punctual.offer('public.queue_sms_message(uuid, text, text, public.sms_priority, timestamptz, jsonb)', true);
  end if;
  call punctual.offer_job_calls();
end
$$;

-- The same for what workers call.
create or replace procedure punctual.offer_job_calls()
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if punctual.may_offer('job_complete') then
    create or replace function public.job_complete(p_job_id uuid, p_result jsonb default null) returns boolean
    language sql volatile security definer set search_path = pg_catalog, pg_temp as 'select punctual.complete_job($1, $2)';
    call punctual.offer('public.job_complete(uuid, jsonb)', false);
  end if;
  if punctual.may_offer('job_fail') then
    create or replace function public.job_fail(p_job_id uuid, p_error text) returns boolean
    language sql volatile security definer set search_path = pg_catalog, pg_temp as 'select punctual.fail_job($1, $2)';
    call punctual.offer('public.job_fail(uuid, text)', false);
  end if;
  if punctual.may_offer('job_progress') then
    create or replace function public.job_progress(p_job_id uuid, p_current int, p_total int, p_message text default null)
    returns boolean
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as 'select punctual.progress_job($1, $2, $3, $4)';
    call punctual.offer('public.job_progress(uuid, int, int, text)', false);
  end if;
end
$$;

revoke execute on procedure punctual.offer_jobs(), punctual.offer_job_calls() from PUBLIC;

call punctual.offer_jobs();
