-- An API for apps (docs/api.md): schedules, moves, cancels and shows messages, through PostgREST or any client.
-- Re-runnable; replaced as a whole.
--
-- Everything here runs with the rights and the search_path of its caller, as the app's own statements do: its grants
-- and row level security decide, and its triggers and policies find their tables. So all names have their schema, and
-- what needs a right on schema `punctual` is called in a body that was resolved when it was created: callers need no
-- right on that schema.
--
-- Bad input is an error, PT422 with a hint. A change that is not possible returns {"ok": false, "late": …, "reason":
-- …}.

-- ---------------------------------------------------------------- templates

-- The text of a template, as `message::template::render` makes it at the claim; `tests/pg/api.rs` compares the two.
create or replace function punctual.render_for_app(template text, vars jsonb, separator text) returns jsonb
language plpgsql stable as $$
declare
  found jsonb;
  is_off boolean;
  required jsonb;
  named text;
  variable text;
  text text := '';
  rest text;
  most numeric;
  longest int;
  ending int;
  value_end int := 0;
begin
  if jsonb_typeof(vars) <> 'object' then
    raise exception using errcode = 'PT422', message = 'vars must be an object',
      hint = 'Like {"name": "Ada"}.';
  end if;
  -- By its key, its id, or its name.
  select t.row, o.is_off into found, is_off
    from (select to_jsonb(t) as row from public.sms_templates t) t
   -- Columns of other types are read as the claim reads them (facts.sql).
   cross join lateral (select coalesce(lower((t.row ->> 'is_active') collate "C")
                                       in ('false', 'f', 'no', 'n', 'off', '0'), false) as is_off) o
   where t.row ->> 'message_template' is not null
     and template in (t.row ->> 'template_key', t.row ->> 'id', t.row ->> 'name')
   order by coalesce(t.row ->> 'template_key' = template, false) desc, t.row ->> 'id' = template desc,
            o.is_off
   limit 1;
  if found is null then
    raise exception using errcode = 'PT422',
      message = format('there is no template %s, or you may not read it', to_json(left(template, 100))),
      hint = 'It is named by its template_key, its id or its name. Templates are read with the rights of the caller: a '
             'policy for select on sms_templates is needed.';
  end if;
  named := coalesce(found ->> 'template_key', found ->> 'name', found ->> 'id');
  if is_off then
    raise exception using errcode = 'PT422', message = format('template %s is not active', named),
      hint = 'Set is_active, or use another template.';
  end if;
  required := coalesce(found -> 'required_vars', 'null');
  -- As required_vars! has it.
  if jsonb_typeof(required) = 'string' and not is_json_column!() then
    begin
      required := case when found ->> 'required_vars' ~ '^\s*[[{]' then (found ->> 'required_vars')::jsonb else 'null' end;
    exception when data_exception then
      null; -- Refused below.
    end;
  end if;
  if (case jsonb_typeof(required) when 'null' then false
           when 'array' then jsonb_path_exists(required, 'strict $[*] ? (@.type() <> "string")') else true end) then
    raise exception using errcode = 'PT422',
      message = format('required_vars of template %s must be a list of names', named),
      hint = 'Correct the template: like ["name"].';
  end if;
  if jsonb_typeof(required) = 'array' then
    for variable in select v from jsonb_array_elements_text(required) v loop
      if coalesce(jsonb_typeof(vars -> variable), 'null') in ('null', 'object', 'array') then
        raise exception using errcode = 'PT422',
          message = format('template %s needs the variable %s', named, variable),
          hint = 'Add it to vars, as a string, a number, true or false.';
      end if;
    end loop;
  end if;

  -- One pass: a value is not parsed again. `ending`: where the text ends, if only blanks and empty variables follow.
  rest := found ->> 'message_template';
  while strpos(rest, '{{') > 0 loop
    ending := case when btrim(left(rest, strpos(rest, '{{') - 1), white!()) = '' then ending end;
    text := text || left(rest, strpos(rest, '{{') - 1);
    rest := substr(rest, strpos(rest, '{{') + 2);
    if strpos(rest, '}}') = 0 then
      raise exception using errcode = 'PT422', message = format('template %s has a {{ without its }}', named),
        hint = 'Correct the template.';
    end if;
    variable := btrim(left(rest, strpos(rest, '}}') - 1), white!());
    rest := substr(rest, strpos(rest, '}}') + 2);
    -- Letters and digits of any language, and what joins words. Which those are is the same whatever the collation.
    if variable = '' or variable ~ no_name_chars!() then
      raise exception using errcode = 'PT422',
        message = format('template %s has {{%s}}, which is not a variable''s name', named, left(variable, 40)),
        hint = 'Correct the template.';
    end if;
    if jsonb_typeof(vars -> variable) in ('object', 'array') then
      raise exception using errcode = 'PT422',
        message = format('the variable %s is neither a string, a number, true nor false', variable),
        hint = 'Give its text.';
    end if;
    ending := case when coalesce(vars ->> variable, '') = ''
                   then coalesce(ending, greatest(length(rtrim(text, white!())), value_end)) end;
    text := text || coalesce(vars ->> variable, '');
    value_end := case when ending is null then length(text) else value_end end;
  end loop;
  text := coalesce(case when btrim(rest, white!()) = '' then left(text, ending) end, text || rest);
  most := case when jsonb_typeof(found -> 'max_length') = 'number' or found ->> 'max_length' ~ '^-?[0-9]{1,9}$'
               then round((found ->> 'max_length')::numeric) end;
  -- Of each part, where the text is divided.
  separator := coalesce(separator, '[BUBBLE]');
  longest := case when separator = '' or strpos(text, separator) = 0 then length(text)
                  else (select max(length(btrim(p.part, white!())))
                          from unnest(string_to_array(text, separator)) as p (part)) end;
  if longest > most then
    raise exception using errcode = 'PT422',
      message = format('the text of template %s has %s characters, at most %s are allowed', named, longest, most),
      hint = 'Shorten the variables, or raise max_length.';
  end if;
  return jsonb_build_object('ok', true, 'template_id', found ->> 'id', 'template', named, 'body', text);
end
$$;

-- The text that a template has with these variables. Nothing is scheduled.
create or replace function punctual_api.render_template(template text, vars jsonb default null) returns jsonb
language sql stable
return punctual.render_for_app(template, coalesce(vars, '{}'), punctual.part_separator());

-- ------------------------------------------------------------------ schedule

-- Inserts a message: only the columns that are given, so that the others have the table's defaults. Refuses what could
-- not be sent, whatever PUNCTUAL_VALIDATE is.
-- Before media_urls. Who may call it may call the next one.
do $$
declare
  old constant regprocedure := to_regprocedure(
    'punctual_api.schedule_message(text, timestamptz, text, text, jsonb, uuid, text, text, text, text, timestamptz, text, '
    'text, uuid, uuid, jsonb)');
begin
  if old is not null then
    perform set_config('punctual.callers', coalesce((
      select string_agg(case a.grantee when 0 then 'public' else a.grantee::regrole::text end, ', ')
        from pg_catalog.pg_proc p, aclexplode(p.proacl) a
       where p.oid = old and a.privilege_type = 'EXECUTE' and a.grantee not in (0, p.proowner)), ''), true);
    execute format('drop function %s', old);
  end if;
end
$$;

create or replace function punctual_api.schedule_message(
  to_number text, scheduled_at timestamptz, body text default null, template text default null, vars jsonb default null,
  user_id uuid default null, from_number text default null, timezone text default null,
  message_type text default null, priority text default null, send_before timestamptz default null,
  dedup_key text default null, channel text default null, campaign_id uuid default null,
  conversation_id uuid default null, metadata jsonb default null, media_urls text[] default null) returns jsonb
language plpgsql as $$
#variable_conflict use_variable
declare
  validate constant text := coalesce(current_setting('punctual.validate', true), '');
  rendered jsonb;
  given jsonb;
  made_id uuid;
  made_status text;
  made_at timestamptz;
  violated text;
  fault text;
  cure text;
begin
  select f.fault, f.cure into fault, cure
    from (values
      (1, to_number is null and lower(btrim(channel, white!())) is distinct from 'webhook', 'to_number is missing',
       'Give the recipient, like +12025550123.'),
      (2, scheduled_at is null or not isfinite(scheduled_at), 'scheduled_at is missing', 'Give a time, like 2026-12-24T19:00:00Z.'),
      (3, is_past!(scheduled_at), 'scheduled_at is in the past', 'Give a time ahead; to send at once, the time of now.'),
      (4, (body is null) = (template is null), 'a message has either a body or a template',
       'Give one of the two; variables of a template are vars.'),
      (5, vars is not null and template is null, 'vars are the variables of a template', 'Give the template too.'),
      (6, send_before <= greatest(scheduled_at, clock_timestamp()), 'send_before is not after scheduled_at',
       'The message would be cancelled: give a later send_before, or none.'),
      (7, priority not in ('low', 'normal', 'high', 'urgent'), 'priority is not known',
       'It is low, normal, high or urgent.')
    ) as f (n, is_so, fault, cure)
   where f.is_so
   order by f.n
   limit 1;
  if fault is not null then
    raise exception using errcode = 'PT422', message = fault, hint = cure;
  end if;
  if template is not null then
    rendered := punctual_api.render_template(template, vars);
  end if;
  given := (
    select jsonb_object_agg(c.key, c.value)
      from jsonb_each(jsonb_build_object(
             'to_number', to_number, 'scheduled_at', scheduled_at, 'body', coalesce(body, rendered ->> 'body'),
             'template_id', rendered ->> 'template_id', 'template_vars', case when template is not null then coalesce(vars, '{}') end,
             'user_id', user_id, 'from_number', from_number, 'timezone', timezone, 'message_type', message_type,
             'priority', priority, 'send_before', send_before, 'dedup_key', dedup_key, 'channel', channel,
             'campaign_id', campaign_id, 'conversation_id', conversation_id, 'metadata', metadata,
             'media_urls', media_urls)) c
     where c.value <> 'null');
  begin
    -- `punctual.validate` reads it.
    perform set_config('punctual.validate', 'refuse', true);
    execute (
      select format('insert into public.scheduled_messages (%1$s)
                     select %1$s from jsonb_populate_record(null::public.scheduled_messages, $1)
                     returning id, status::text, scheduled_at, error_message::text', string_agg(quote_ident(k), ', '))
        from jsonb_object_keys(given) k)
      into made_id, made_status, made_at, fault using given;
    perform set_config('punctual.validate', validate, true);
  exception when unique_violation then
    get stacked diagnostics violated = constraint_name;
    if violated <> 'scheduled_messages_dedup_key' then
      raise;
    end if;
    return jsonb_build_object('ok', false, 'late', false, 'reason', 'a message with this dedup_key is in progress',
                              'id', (select m.id from public.scheduled_messages m
                                      where m.dedup_key = schedule_message.dedup_key and under_way!(m)));
  end;
  if made_id is null then
    raise exception using errcode = 'PT422', message = 'nothing was scheduled',
      hint = 'A trigger or rule of scheduled_messages skipped the row.';
  elsif made_status = 'failed' then
    raise exception using errcode = 'PT422', message = coalesce(fault, 'it cannot be sent'), hint = 'Nothing was written. Correct it.';
  end if;
  return jsonb_build_object('ok', true, 'id', made_id, 'status', made_status, 'scheduled_at', made_at);
end
$$;

do $$
declare
  callers constant text := nullif(current_setting('punctual.callers', true), '');
begin
  if callers is not null then
    execute 'grant execute on function punctual_api.schedule_message to ' || callers;
    perform set_config('punctual.callers', '', true);
  end if;
end
$$;

-- -------------------------------------------------------------- cancel, move

-- Cancels a message that has not begun to be sent. One that is cancelled already is a success.
create or replace function punctual_api.cancel_message(id uuid) returns jsonb
language plpgsql as $$
#variable_conflict use_column
declare
  standing record;
begin
  if cancel_message.id is null then
    raise exception using errcode = 'PT422', message = 'id is missing', hint = 'Give the id of the message.';
  end if;
  -- Again, where it was being sent for the first statement and is pending for the second.
  for n in 1 .. 3 loop
    update public.scheduled_messages m set status = 'cancelled'
     where m.id = cancel_message.id and is_pending!(m);
    -- Parts that were sent are no reason: between them it can be cancelled.
    select m.status::text, 0 as parts_done, m.parts_total, m.cancelled_at into standing
      from public.scheduled_messages m where m.id = cancel_message.id;
    exit when standing.status is distinct from 'pending';
  end loop;
  if standing.status = 'cancelled' then
    return jsonb_build_object('ok', true, 'id', cancel_message.id, 'status', 'cancelled',
                              'cancelled_at', standing.cancelled_at);
  end if;
  return not_done!(standing);
end
$$;

-- Changes the time of a message that has not begun to be sent.
create or replace function punctual_api.reschedule_message(id uuid, at timestamptz) returns jsonb
language plpgsql as $$
#variable_conflict use_column
declare
  standing record;
  moved timestamptz;
begin
  if reschedule_message.id is null or at is null or not isfinite(at) then
    raise exception using errcode = 'PT422', message = 'id and at must be given',
      hint = 'at is a time, like 2026-12-24T19:00:00Z.';
  elsif is_past!(at) then
    raise exception using errcode = 'PT422', message = 'at is in the past',
      hint = 'Give a time ahead; to send at once, the time of now.';
  end if;
  -- As often as a cancel. Between its parts a message keeps its time.
  for n in 1 .. 3 loop
    update public.scheduled_messages m set scheduled_at = reschedule_message.at
     where m.id = reschedule_message.id and is_pending!(m) and m.parts_done = 0
    returning m.scheduled_at into moved;
    select m.status::text, m.parts_done, m.parts_total into standing
      from public.scheduled_messages m where m.id = reschedule_message.id;
    exit when moved is not null or (standing.status = 'pending' and standing.parts_done = 0) is not true;
  end loop;
  if moved is not null then
    return jsonb_build_object('ok', true, 'id', reschedule_message.id, 'status', standing.status, 'scheduled_at', moved);
  end if;
  return not_done!(standing);
end
$$;

-- ---------------------------------------------------------------------- look

-- Where a message is. Its times are in the time zone of the session; PostgREST's is UTC.
create or replace function punctual_api.message_status(id uuid) returns jsonb
language plpgsql stable as $$
#variable_conflict use_column
begin
  if message_status.id is null then
    raise exception using errcode = 'PT422', message = 'id is missing', hint = 'Give the id of the message.';
  end if;
  return coalesce(
    (select jsonb_build_object(
              'ok', true, 'id', m.id, 'status', m.status, 'scheduled_at', m.scheduled_at, 'due', due!(m),
              'deferred_until', m.deferred_until, 'deferred_reason', m.deferred_reason,
              'attempts', m.attempts, 'next_attempt_at', m.next_attempt_at,
              'parts_done', m.parts_done, 'parts_total', m.parts_total,
              'sent_at', m.sent_at, 'delivered_at', m.delivered_at,
              'cancelled_at', m.cancelled_at, 'cancel_reason', m.cancel_reason,
              'error_message', m.error_message, 'error_code', m.error_code, 'version', m.version)
       from public.scheduled_messages m where m.id = message_status.id),
    not_found!());
end
$$;

-- What the ledger has of a message, the latest 200 of each: ids, times and reasons, without numbers and texts. With its
-- owner's rights, and for whoever may call it: only those who may use schema `punctual` can name it, and the API calls
-- it for messages that its caller sees.
create or replace function punctual.ledger_for_app(message uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
    'attempts', coalesce((
      select jsonb_agg(jsonb_build_object(
               'number', a.number, 'part', a.part + 1, 'claimed_at', a.claimed_at, 'started_at', a.started_at,
               'finished_at', a.finished_at, 'outcome', a.outcome, 'provider_sid', a.provider_sid, 'code', a.code,
               'error', a.error) order by a.number, a.part)
        from (select * from punctual.attempts o where o.message_id = message
               order by o.number desc, o.part desc limit 200) a), '[]'),
    'receipts', coalesce((
      select jsonb_agg(jsonb_build_object(
               'received_at', r.received_at, 'provider_sid', r.provider_sid, 'status', r.status,
               'error_code', r.error_code) order by r.id)
        from (select * from punctual.receipts o where o.message_id = message order by o.id desc limit 200) r), '[]'),
    'changes', coalesce((
      select jsonb_agg(jsonb_build_object(
               'at', h.at, 'op', h.op, 'role', h.role, 'subject', h.subject,
               'columns', (select jsonb_agg(k order by k) from jsonb_object_keys(h.old) k),
               'status', h.new -> 'status', 'scheduled_at', h.new -> 'scheduled_at') order by h.id)
        from (select * from punctual.history o where o.message_id = message order by o.id desc limit 200) h), '[]'),
    'notes', coalesce((
      select jsonb_agg(jsonb_build_object('at', n.at, 'note', n.note) order by n.id)
        from (select * from punctual.notes o where o.message_id = message order by o.id desc limit 200) n), '[]'))
$$;

-- The status of a message, and all that happened to it.
create or replace function punctual_api.message_story(id uuid) returns jsonb
language sql stable
return (select case when (s.status ->> 'ok')::boolean then s.status || punctual.ledger_for_app(id) else s.status end
          from (select punctual_api.message_status(id) as status) s);

-- -------------------------------------------------------------------- rights

-- For users with a login, not for strangers. A role of another installation is granted the same by hand.
revoke execute on all functions in schema punctual_api from PUBLIC;
-- Whatever a role has as its default: the schema's own right is what admits.
grant execute on function punctual.render_for_app(text, jsonb, text), punctual.ledger_for_app(uuid) to PUBLIC;
do $$
declare
  grantee name;
begin
  for grantee in
    select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')
  loop
    if grantee = 'anon' then
      revoke all on schema punctual_api from anon;
      revoke execute on all functions in schema punctual_api from anon;
    else
      execute format('grant usage on schema punctual_api to %I', grantee);
      execute format('grant execute on all functions in schema punctual_api to %I', grantee);
    end if;
  end loop;
end
$$;
