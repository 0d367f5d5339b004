-- Texts by a language model: which messages want one, and what the model is given. Re-runnable; replaced as a whole.
--
--   message ─▶ want_texts ─▶ punctual.drafts ─▶ a daemon ─▶ put_text ─▶ message
--   task_calendar_events ─▶ move_reminders ─▶ renew_drafts ─▶ want_texts
--
-- A message always has a text of its own, ready to be sent: that of its template. A draft only asks for a better one.

-- An event as texts need it, with times in UTC, so that it is the same in every session; null: it is not there, or was
-- cancelled. With its owner's rights, as facts_of.
create or replace function punctual.event_for_text(event text, owner uuid) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  event_key text;
  key text;
  it jsonb;
begin
  if event is null or owner is null then
    return null;
  end if;
  begin
    select to_jsonb(e) into it
      from public.task_calendar_events e
     where e.calendar_event_id = event and e.user_id = owner
     order by coalesce(e.sync_status = 'cancelled', false), e.event_start
     limit 1;
  exception when syntax_error_or_access_rule_violation or data_exception then
    event_key := punctual.key_type('task_calendar_events', 'calendar_event_id');
    key := punctual.key_type('task_calendar_events', 'user_id');
    if key is not null and event_key is not null then
      execute format(
        'select to_jsonb(e) from public.task_calendar_events e
          where e.calendar_event_id = $1::%s and e.user_id = $2::%s
          order by to_jsonb(e) ->> ''sync_status'' is not distinct from ''cancelled'', to_jsonb(e) ->> ''event_start''
          limit 1', event_key, key) into it using event, owner;
    end if;
  end;
  if it is null or it ->> 'sync_status' is not distinct from 'cancelled' then
    return null;
  end if;
  return jsonb_strip_nulls(jsonb_build_object(
    'title', it ->> 'event_title', 'link', it ->> 'event_link', 'location', it ->> 'event_location',
    'starts_at', punctual.in_utc(punctual.as_instant(it ->> 'event_start')),
    'ends_at', punctual.in_utc(punctual.as_instant(it ->> 'event_end'))));
end
$$;

-- A time as JSON has it in drafts.
create or replace function punctual.in_utc(at timestamptz) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when isfinite(at) then to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end
$$;

-- Asks for texts of these messages, in the transaction of whoever has just made or changed them; returns how many
-- drafts were made, or made again. `given` takes the place of what their events say. Left out is what can have none: a
-- message that is not pending or is due within 2 s, that is no text message, is of a campaign (people have approved its
-- text) or follows a row of the app's (its text is there), and one without a title and a start. Nothing while no daemon
-- writes texts.
create or replace function punctual.want_texts(ids uuid[], given jsonb default '{}') returns int
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  asked int;
  zone text;
begin
  select s.timezone into zone from punctual.settings s where s.llm_model is not null;
  if not found then
    return 0;
  end if;
  with wanted as materialized (
    select m.*
      from unnest(ids) as i (id)
     cross join lateral (
       select o.id, o.version, o.user_id, o.template_vars, o.calendar_event_id, o.timezone, due!(o) as due,
              punctual.event_for_text(o.calendar_event_id, o.user_id) as event
         from public.scheduled_messages o
        where o.id = i.id and is_pending!(o) and o.parts_done = 0 and is_text!(o) and o.campaign_id is null
          and due!(o) > clock_timestamp() + interval '2 seconds'
          and not exists (select from punctual.source_rows r where r.message_id = o.id)
       offset 0) m
  ), people as materialized (
    select f.id, coalesce(nullif(btrim((f.facts).timezone, white!()), ''), (f.facts).account_timezone) as timezone
      from (select array_agg(w.id) as ids, array_agg(w.user_id) as users, array_agg(w.calendar_event_id) as events
              from wanted w) a,
           punctual.facts_of(a.ids, a.ids, a.users, a.events) f
  )
  insert into punctual.drafts as d (message_id, version, facts, event, vars, needed_by)
  select w.id, w.version,
         jsonb_build_object('timezone', coalesce(w.timezone, p.timezone, zone)) || coalesce(w.event, '{}') || given,
         w.event, w.template_vars, w.due
    from wanted w
    left join people p on p.id = w.id
   where coalesce(w.event, '{}') || given ?& '{title,starts_at}'
  on conflict (message_id) do update
     set version = excluded.version, facts = excluded.facts, event = excluded.event, needed_by = excluded.needed_by,
         -- The variables that a text has taken the place of are still those of the message.
         vars = case when d.outcome = 'written' and d.version = excluded.version
                     then coalesce(excluded.vars, d.vars) else excluded.vars end,
         asked_at = clock_timestamp(), attempts = 0, taken_until = null, taken_by = null,
         outcome = null, reason = null, model = null, cost_usd = null, tokens_in = null, tokens_out = null,
         finished_at = null
   where d.version <> excluded.version or d.facts <> excluded.facts or d.needed_by <> excluded.needed_by
      or d.event is distinct from excluded.event or d.outcome is not null and d.outcome <> 'written';
  get diagnostics asked = row_count;
  if asked > 0 and may_notify!() then
    perform pg_notify('punctual', 'drafts');
  end if;
  return asked;
end
$$;

-- Gives a message the text that was written for it, as an edit of the app's: if it is as it was when the text was asked
-- for, its event too, and it is not about to be claimed. A locked message keeps its own text. Returns its version, or
-- null. With its owner's rights: a daemon's role may change no text but by a draft, and to no other kind of text.
create or replace function punctual.put_text(message uuid, taking uuid, words text, spent jsonb, before_ms bigint)
returns bigint
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  put_version bigint;
begin
  if words is null or length(words) not between 1 and 160 or words ~ '[[:cntrl:]]' then
    raise exception using errcode = '22023', message = 'a text has 1 to 160 characters on one line';
  end if;
  with ready as materialized (
    select m.id
      from punctual.drafts d
      join public.scheduled_messages m on m.id = any (array[d.message_id])
     where d.message_id = message and d.taken_by = taking and (d.outcome || '') is null
       and is_pending!(m) and m.version = d.version and m.parts_done = 0 and due!(m) = d.needed_by
       and is_text!(m) and m.campaign_id is null
       and due!(m) > clock_timestamp() + before_ms * interval '1 ms'
       and punctual.event_for_text(m.calendar_event_id, m.user_id) is not distinct from d.event
       and not exists (select from punctual.missed_event_changes u where u.message_id = any (array[m.id]))
       for no key update of m skip locked
  )
  update public.scheduled_messages m
     set body = words, template_vars = null, metadata = coalesce(m.metadata, '{}') || spent
    from ready
   where m.id = any (array[ready.id])
  returning m.version into put_version;
  if put_version is null then
    return null;
  end if;
  update punctual.drafts d
     set outcome = 'written', version = put_version, taken_until = null, finished_at = clock_timestamp(),
         model = spent ->> 'llm_model', cost_usd = (spent ->> 'generation_cost_usd')::numeric,
         tokens_in = (spent ->> 'llm_tokens_in')::int, tokens_out = (spent ->> 'llm_tokens_out')::int
   where d.message_id = message;
  return put_version;
end
$$;

-- The variables of a message, or those that its text has taken the place of, as long as nobody has changed that.
create or replace function punctual.text_vars(message uuid, its_version bigint, own jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if own is not null then
    return own;
  end if;
  return (select d.vars from punctual.drafts d
           where d.message_id = message and d.outcome = 'written' and d.version = its_version);
end
$$;

-- The event of these messages has changed, and they with it: a text that a model wrote is about the event of before.
-- The template has taken its place again (move_reminders), and another text is wanted. With its owner's rights, and, as
-- put_text, the path in which the app's own triggers find their tables.
create or replace function punctual.renew_drafts(ids uuid[]) returns void
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  -- Each by its key: a plan from when the table was small would read all of it.
  one uuid;
  found_version bigint;
  found_outcome text;
begin
  foreach one in array ids loop
    select d.version, d.outcome into found_version, found_outcome from punctual.drafts d where d.message_id = one;
    continue when not found;
    if found_outcome = 'written' then
      update public.scheduled_messages m
         set metadata = m.metadata || '{"generated_via": "template"}'
       where m.id = one and m.version > found_version and m.template_vars is not null
         and m.metadata ->> 'generated_via' = 'llm';
    end if;
    perform punctual.want_texts(array[one]);
  end loop;
end
$$;

-- A message with a text by a model is moved by itself: the minutes in the text are wrong then. The template takes its
-- place again, as for an event that moves, unless a person has changed the text with it or since. With its owner's
-- rights: the app's roles have none on schema punctual.
create or replace function punctual.moved_text() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  vars jsonb;
begin
  if new.status = 'pending' and new.body = old.body then
    vars := punctual.text_vars(old.id, old.version, null);
    if vars is not null then
      new.template_vars := vars;
      new.metadata := coalesce(new.metadata, '{}') || '{"generated_via": "template"}';
    end if;
  end if;
  return new;
-- Its text is less than right, and the app's statement goes on.
exception when others then
  raise warning 'a text could not be written again for the new time of its message: SQLSTATE %', sqlstate;
  return new;
end
$$;

create or replace function punctual.ask_again() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform punctual.want_texts(array[new.id]);
  return null;
exception when others then
  raise warning 'no other text was asked for: SQLSTATE %', sqlstate;
  return null;
end
$$;

-- After the guard, which leaves a row out that may not be moved.
create or replace trigger zzz_punctual_moved_text
  before update of scheduled_at on public.scheduled_messages for each row
  when (new.scheduled_at <> old.scheduled_at and new.template_vars is null)
  execute function punctual.moved_text();
create or replace trigger punctual_ask_again
  after update of scheduled_at on public.scheduled_messages for each row
  when (new.scheduled_at <> old.scheduled_at and old.template_vars is null and new.template_vars is not null)
  execute function punctual.ask_again();

-- ------------------------------------------------------------------- the API

-- Whether a message may have another text, by the rights of the caller, who must be allowed to change it: null, or the
-- answer of the API. The message is locked, so that no claim comes in between.
create or replace function punctual.standing_for_app(message uuid) returns jsonb
language plpgsql as $$
declare
  standing record;
begin
  if message is null then
    raise exception using errcode = 'PT422', message = 'id is missing', hint = 'Give the id of the message.';
  end if;
  select m.status::text, m.parts_done, m.parts_total into standing
    from public.scheduled_messages m where m.id = message for no key update;
  if standing.status = 'pending' and standing.parts_done = 0 then
    return null;
  end if;
  return not_done!(standing);
end
$$;

-- Asks for a text of a message that its caller may change. With its owner's rights, as ledger_for_app: only those who
-- may use schema `punctual` can name it.
create or replace function punctual.want_for_app(message uuid, standing jsonb, given jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  fault text;
  is_open boolean;
  why text;
begin
  if standing is not null then
    return standing;
  end if;
  given := coalesce(given, '{}');
  if jsonb_typeof(given) <> 'object' then
    raise exception using errcode = 'PT422', message = 'facts must be an object',
      hint = 'Like {"title": "Standup", "starts_at": "2026-12-24T19:00:00Z"}.';
  end if;
  given := jsonb_strip_nulls(given);
  select f.key into fault
    from jsonb_each(given) f
   where f.key not in ('title', 'starts_at', 'ends_at', 'link', 'location')
      or jsonb_typeof(f.value) <> 'string'
      or f.key in ('starts_at', 'ends_at') and punctual.as_instant(f.value #>> '{}') is null
      or f.key = 'link' and f.value #>> '{}' !~ '^https?://[^[:space:]]+$'
      or f.key in ('title', 'location') and btrim(f.value #>> '{}', white!()) = ''
   limit 1;
  if fault is not null then
    raise exception using errcode = 'PT422', message = format('facts has %s, which is not valid', to_json(left(fault, 40))),
      hint = 'It has texts: title, starts_at and ends_at (times with their offset), link (a URL) and location.';
  end if;
  perform punctual.want_texts(array[message], given);
  select d.outcome is null and d.version = m.version into is_open
    from public.scheduled_messages m
    left join punctual.drafts d on d.message_id = m.id
   where m.id = message;
  if is_open then
    return jsonb_build_object('ok', true, 'id', message);
  end if;
  select case
           when not exists (select from punctual.settings s where s.llm_model is not null)
             then 'no daemon writes texts: PUNCTUAL_LLM_URL is not set'
           when not is_text!(m) then 'it is no text message'
           when m.campaign_id is not null then 'it is of a campaign, whose texts people approve'
           when exists (select from punctual.source_rows r where r.message_id = m.id)
             then 'it follows a row of another table: its text is there'
           when due!(m) <= clock_timestamp() + interval '2 seconds' then 'it is due too soon'
           when exists (select from punctual.drafts d where d.message_id = m.id and d.outcome = 'written')
             then 'it has a text that was written from the same facts'
           else 'neither its event nor the facts have a title and a start'
         end into why
    from public.scheduled_messages m where m.id = message;
  return jsonb_build_object('ok', false, 'late', false, 'reason', why);
end
$$;

-- Asks for a text that the language model writes. Until it is written, and if it is not, the message has its own.
create or replace function punctual_api.request_text(id uuid, facts jsonb default null) returns jsonb
language sql
return punctual.want_for_app(id, punctual.standing_for_app(id), facts);

revoke execute on function punctual.event_for_text(text, uuid), punctual.renew_drafts(uuid[]), punctual.moved_text(),
                           punctual.ask_again(),
                           punctual.put_text(uuid, uuid, text, jsonb, bigint) from PUBLIC;
-- As those of rpc.sql, whatever a role has as its default.
revoke execute on function punctual_api.request_text(uuid, jsonb) from PUBLIC;
grant execute on function punctual.standing_for_app(uuid), punctual.want_for_app(uuid, jsonb, jsonb) to PUBLIC;
do $$
declare
  grantee name;
begin
  for grantee in
    select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')
  loop
    if grantee = 'anon' then
      revoke execute on function punctual_api.request_text(uuid, jsonb) from anon;
    else
      execute format('grant execute on function punctual_api.request_text(uuid, jsonb) to %I', grantee);
    end if;
  end loop;
end
$$;
