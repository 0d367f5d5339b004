-- Writes sent messages into the app's tables. Re-runnable; replaced as a whole.
--
--   conversations_for ─▶ lock them ─▶ messages, conversations.last_message_at ─▶ what is refused: outbox
--
-- Called by the daemon alone, and with the rights of its role, so that row level security applies. The search
-- path is the session's where the app's own triggers run: so every name has its schema.
--
-- The app's tables may lack columns, and get them under a running daemon: the existing ones are read from the
-- catalog each time. Where all exist, the statements are static, because a dynamic one is planned on each call;
-- where one is missing, they are made from those that exist. Without `conversations.id` and `phone_number`, or
-- without `messages`, nothing can be written, and the outbox shows that.

-- Which of these columns a table of the app's has. In plpgsql, which keeps the plan for the session.
--
-- `messages.scheduled_message_id` counts only if it takes any id of a message: it is a uuid, and no constraint (but
-- `not null`) or unique index is on it. A foreign key would refuse the row of a message whose own row was deleted, and
-- a unique index the second part of a message. What has become of a message (`delivered_at` and the like) is written
-- only where the columns have the types that `punctual migrate` gives them.
create or replace function punctual.columns_of(tab text, wanted text[]) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (select coalesce(array_agg(a.attname::text), '{}')
            from pg_catalog.pg_attribute a
           where a.attrelid = to_regclass('public.' || tab) and a.attname = any (wanted)
             and not a.attisdropped and a.attgenerated = ''
             and (a.attname not in ('delivered_at', 'twilio_status', 'twilio_error_code', 'attempt_count')
                  or a.atttypid = case a.attname when 'delivered_at' then 'timestamptz'::regtype when 'twilio_status' then 'text'::regtype
                                                 else 'int4'::regtype end)
             and (a.attname <> 'scheduled_message_id'
                  or a.atttypid = 'uuid'::regtype
                     and not exists (select from pg_catalog.pg_constraint k
                                      where k.conrelid = a.attrelid and k.contype <> 'n' and a.attnum = any (k.conkey))
                     and not exists (select from pg_catalog.pg_index i
                                      where i.indrelid = a.attrelid and i.indisunique and a.attnum = any (i.indkey))));
end
$$;

-- What is repeated of an error where it is public: the code, and the names of what refused. The message may be
-- the app's own, with numbers and texts in it; it is repeated only if none of the app's functions ran and its
-- class has no values in it. `store/refusal.rs` does the same for the daemon's own statements.
create or replace function punctual.refusal(
  step text, state text, message text, constraint_name text, table_name text, column_name text, context text)
returns text language sql immutable set search_path = pg_catalog, pg_temp as $$
  select step || ' failed: '
      || case when at.function is null
               and left(state, 2) in ('08', '0A', '25', '28', '3D', '3F', '42', '53', '55', '57', '58')
              then regexp_replace(left(message, 500), '[[:cntrl:]]', ' ', 'g') || ' (SQLSTATE ' || state || ')'
              else 'SQLSTATE ' || state end
      || coalesce(', constraint ' || to_json(left(nullif(constraint_name, ''), 63))::text, '')
      || coalesce(', table ' || to_json(left(nullif(table_name, ''), 63))::text, '')
      || coalesce(', column ' || to_json(left(nullif(column_name, ''), 63))::text, '')
      || coalesce(', function ' || to_json(left(at.function, 63))::text, '')
    from (select coalesce(substring(context from '(?n)^PL/pgSQL function ([^(]+)\('),
                          substring(context from '(?n)^SQL function "([^"]+)"')) as name) inner_most
   cross join lateral (
         select case when inner_most.name not like 'punctual.%' then inner_most.name end as function) at
$$;

-- The conversation of each number where none is known: the oldest, else a new one, with the contact where the
-- number is known. Null where the app's triggers change how the number is written.
create or replace function punctual.conversations_for(known uuid[], numbers text[]) returns uuid[]
language plpgsql as $$
declare
  found uuid[] := known;
  missing text[];
begin
  for made in 0..1 loop
    -- A table without `created_at` leaves the name to `of_none`.
    select array_agg(coalesce(i.id, c.id) order by i.n),
           array_agg(distinct i.number) filter (where i.id is null and c.id is null)
      into found, missing
      from (select null::timestamptz as created_at) of_none
     cross join unnest(found, numbers) with ordinality as i (id, number, n)
      left join lateral (
        select c.id::uuid as id from public.conversations c
         where i.id is null and c.phone_number = i.number
         order by created_at, c.id
         limit 1) c on true;
    exit when missing is null or made = 1;
    perform punctual.insert_conversations(missing);
  end loop;
  return found;
end
$$;

-- Creates the conversations that do not exist yet.
create or replace function punctual.insert_conversations(numbers text[]) returns void
language plpgsql as $$
declare
  has constant text[] := punctual.columns_of('conversations', '{contact_id,last_message_at}');
  contacts constant boolean := punctual.columns_of('contacts', '{id,phone_number}') @> '{id,phone_number}';
begin
  -- Locked until the transaction ends, so that two at once make one; in key order, so that two daemons do not
  -- deadlock.
  perform pg_advisory_xact_lock(k)
     from (select distinct hashtextextended('punctual conversation ' || u.number, 0) as k
             from unnest(numbers) as u (number) order by 1) keys;
  if contacts and has @> '{contact_id,last_message_at}' then
    -- A table without `created_at` leaves the name to `of_none`.
    insert into public.conversations (phone_number, last_message_at, contact_id)
    select u.number, clock_timestamp(),
           (select k.id from public.contacts k where k.phone_number = u.number order by created_at, k.id limit 1)
      from (select null::timestamptz as created_at) of_none
     cross join unnest(numbers) as u (number)
     where not exists (select from public.conversations c where c.phone_number = u.number);
  else
    execute (
      select pg_catalog.format('insert into public.conversations (%s) select %s', string_agg(w.name, ', '),
                               string_agg(w.expression, ', '))
        from (values
          ('phone_number', 'u.number', true),
          ('last_message_at', 'clock_timestamp()', 'last_message_at' = any (has)),
          ('contact_id', '(select k.id from public.contacts k where k.phone_number = u.number
                            order by created_at, k.id limit 1)', 'contact_id' = any (has) and contacts)
        ) as w (name, expression, is_there)
       where w.is_there)
      || ' from (select null::timestamptz as created_at) of_none
          cross join unnest($1) as u (number)
          where not exists (select from public.conversations c where c.phone_number = u.number)'
      using numbers;
  end if;
end
$$;

-- What the app's row of a message has as metadata: which message it is, and the calendar event that it reminds of.
create or replace function punctual.sent_metadata(message uuid) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  about jsonb;
begin
  -- By the id alone: with a condition on the event a plan from when few rows had one would read all that have.
  select case when m.calendar_event_id is not null
              then jsonb_strip_nulls(jsonb_build_object(
                     'calendar_event_id', m.calendar_event_id,
                     'event_title', coalesce(m.template_vars ->> 'event_title', m.metadata ->> 'event_title'))) end
    into about
    from public.scheduled_messages m
   where m.id = message;
  return jsonb_build_object('source', 'scheduled', 'scheduled_message_id', message) || coalesce(about, '{}');
end
$$;

-- The provider's code for why a message did not arrive. Null: it gave none.
create or replace function punctual.sent_code(attempt uuid, sid text, word text) returns int
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (select r.error_code from punctual.receipts r where r.token = attempt and r.provider_sid = sid and r.status = word);
end
$$;

-- Inserts the app's rows of sent messages, in the columns that exist, and moves the time of their conversations on
-- where one is `behind`; a new one is not. A callback may have come before: the status is what the attempt has reached.
-- The attempts are locked by now, so that a concurrent callback waits and then finds the row.
drop function if exists punctual.insert_messages(uuid[], uuid[], text[], text[], text[], text[], timestamptz[]);
create or replace function punctual.insert_messages(
  ids uuid[], conversations uuid[], bodies text[], senders text[], recipients text[], sids text[],
  sent_at timestamptz[], behind boolean) returns void
language plpgsql as $$
declare
  wanted constant text[] :=
    '{conversation_id,direction,body,from_number,to_number,twilio_sid,status,metadata,scheduled_message_id,delivered_at,
      twilio_status,twilio_error_code,attempt_count}';
  has text[] := punctual.columns_of('messages', wanted);
begin
  if has @> wanted then
    insert into public.messages (conversation_id, direction, body, from_number, to_number, twilio_sid, status, metadata,
                                 scheduled_message_id, delivered_at, twilio_status, twilio_error_code, attempt_count)
    select i.conversation_id, 'outbound', i.body, i.from_number, i.to_number, nullif(i.sid, ''), coalesce(a.message_status, 'sent'),
           punctual.sent_metadata(i.id), i.id, case when a.message_status = 'delivered' then clock_timestamp() end,
           a.receipt_status,
           case when a.message_status in ('failed', 'undelivered', 'cancelled') then punctual.sent_code(a.token, a.provider_sid, a.receipt_status) end, a.number
      from unnest(ids, conversations, bodies, senders, recipients, sids)
             as i (id, conversation_id, body, from_number, to_number, sid)
      left join lateral (select o.* from punctual.attempts o where o.provider_sid = i.sid offset 0) a on true;
  else
    -- With none of them there is no such table, which the server reports better.
    execute (
      select pg_catalog.format('insert into public.messages (%s) select %s', coalesce(string_agg(w.name, ', '), 'body'),
                               coalesce(string_agg(w.expression, ', '), 'i.body'))
        from (values
          ('conversation_id', 'i.conversation_id'), ('direction', $q$'outbound'$q$), ('body', 'i.body'),
          ('from_number', 'i.from_number'), ('to_number', 'i.to_number'), ('twilio_sid', $q$nullif(i.sid, '')$q$),
          ('status', $q$coalesce(a.message_status, 'sent')$q$), ('metadata', 'punctual.sent_metadata(i.id)'),
          ('scheduled_message_id', 'i.id'),
          ('delivered_at', $q$case when a.message_status = 'delivered' then clock_timestamp() end$q$),
          ('twilio_status', 'a.receipt_status'),
          ('twilio_error_code', $q$case when a.message_status in ('failed', 'undelivered', 'cancelled')
             then punctual.sent_code(a.token, a.provider_sid, a.receipt_status) end$q$),
          ('attempt_count', 'a.number')
        ) as w (name, expression)
       where w.name = any (has))
      || ' from unnest($1, $2, $3, $4, $5, $6) as i (id, conversation_id, body, from_number, to_number, sid)
           left join lateral (select o.* from punctual.attempts o where o.provider_sid = i.sid offset 0) a on true'
      using ids, conversations, bodies, senders, recipients, sids;
  end if;

  if not behind then
    return;
  end if;
  has := punctual.columns_of('conversations', '{last_message_at,updated_at}');
  if has @> '{last_message_at,updated_at}' then
    update public.conversations c
       set last_message_at = greatest(c.last_message_at, latest.at), updated_at = clock_timestamp()
      from (select i.id, max(i.sent_at) as at
              from unnest(conversations, sent_at) as i (id, sent_at) group by i.id) latest
     where c.id = latest.id and (c.last_message_at is null or c.last_message_at < latest.at);
  elsif has @> '{last_message_at}' then
    update public.conversations c
       set last_message_at = greatest(c.last_message_at, latest.at)
      from (select i.id, max(i.sent_at) as at
              from unnest(conversations, sent_at) as i (id, sent_at) group by i.id) latest
     where c.id = latest.id and (c.last_message_at is null or c.last_message_at < latest.at);
  end if;
end
$$;

-- Writes what can be written: `held` are messages whose conversation another transaction has locked, and
-- `refusal` is why the app's tables accepted nothing; `words` is the message of the server, or the app's own.
drop function if exists punctual.write_messages(uuid[], uuid[], text[], text[], text[], text[], timestamptz[]);
create function punctual.write_messages(
  ids uuid[], conversations uuid[], bodies text[], senders text[], recipients text[], sids text[],
  sent_at timestamptz[], out held uuid[], out refusal text, out words text)
language plpgsql as $$
declare
  its_constraint text;
  its_table text;
  its_column text;
  its_context text;
  places uuid[] := conversations;
  ours uuid[];
  all_ours boolean;
  -- Some conversation has an earlier time than its message.
  behind boolean;
begin
  if to_regproc('punctual.app__write') is not null then
    held := punctual.mapped_write(ids, conversations, bodies, senders, recipients, sids, sent_at);
    set constraints all immediate;
    return;
  end if;
  for again in 0..1 loop
    places := punctual.conversations_for(places, recipients);
    -- Without waiting: a wait could end in a deadlock with the app.
    select array_agg(c.id), coalesce(bool_and(c.id is not null), false),
           coalesce(bool_or(c.last_at is null or c.last_at < u.at), true)
      into ours, all_ours, behind
      -- A table without `last_message_at` leaves the name to `of_none`.
      from (select null::timestamptz as last_message_at) of_none
     cross join (select u.id, max(u.at) as at from unnest(places, sent_at) as u (id, at) group by u.id order by u.id) u
      left join lateral (
        select c.id::uuid as id, last_message_at as last_at from public.conversations c where c.id = u.id
           for no key update skip locked) c on true;
    exit when all_ours or again = 1;
    -- Another transaction has locked it, or it is gone: then there is another, or a new one.
    places := array(select (select c.id::uuid from public.conversations c where c.id = u.id)
                      from unnest(places) with ordinality as u (id, n) order by u.n);
  end loop;

  if all_ours then
    perform punctual.insert_messages(ids, places, bodies, senders, recipients, sids, sent_at, behind);
  else
    perform punctual.insert_messages(
      array_agg(i.id), array_agg(i.conversation_id), array_agg(i.body), array_agg(i.from_number),
      array_agg(i.to_number), array_agg(i.sid), array_agg(i.sent_at), behind)
       from unnest(ids, places, bodies, senders, recipients, sids, sent_at)
              as i (id, conversation_id, body, from_number, to_number, sid, sent_at)
      where i.conversation_id = any (ours)
     having count(*) > 0;
    held := array(select i.id from unnest(ids, places) as i (id, place) where (i.place = any (ours)) is not true);
  end if;
  -- What the app has deferred to the end of the transaction is checked now, while it can still be undone.
  set constraints all immediate;
-- The writes of this block are rolled back by now.
exception when query_canceled or assert_failure or others then
  get stacked diagnostics its_constraint = constraint_name, its_table = table_name, its_column = column_name,
                          its_context = pg_exception_context;
  held := null;
  words := sqlerrm;
  refusal := punctual.refusal('writing sent messages to the app''s tables', sqlstate, sqlerrm,
                              its_constraint, its_table, its_column, its_context);
end
$$;

-- The same; what was not written is put in the outbox, to be retried. Returns why the app's tables refused it.
-- The names in the JSON are those of `store/app/rows.rs`.
create or replace function punctual.write_sent(
  ids uuid[], conversations uuid[], bodies text[], senders text[], recipients text[], sids text[],
  sent_at timestamptz[]) returns text
language plpgsql as $$
declare
  wrote record;
begin
  select * into wrote
    from punctual.write_messages(ids, conversations, bodies, senders, recipients, sids, sent_at);
  if wrote.refusal is not null or wrote.held <> '{}' then
    insert into punctual.outbox (message_id, write, last_error, app_error, next_attempt_at)
    select i.id,
           jsonb_build_object('id', i.id, 'conversation', i.conversation_id, 'to', i.to_number, 'from', i.from_number,
                              'body', i.body, 'sid', i.sid,
                              'sent_at_us', (extract(epoch from i.sent_at) * 1000000)::bigint),
           coalesce(wrote.refusal, 'the conversation is locked by another transaction'), wrote.words,
           clock_timestamp() + interval '1 second'
      from unnest(ids, conversations, bodies, senders, recipients, sids, sent_at)
             as i (id, conversation_id, body, from_number, to_number, sid, sent_at)
     where wrote.refusal is not null or i.id = any (wrote.held);
  end if;
  return wrote.refusal;
end
$$;

-- Updates the app's messages to the statuses that their attempts have reached. Reading these from the attempts,
-- which are locked meanwhile, lets no older status overwrite a newer one. `held` are the sids of rows that
-- another transaction has locked: waiting could end in a deadlock with the app.
drop function if exists punctual.write_statuses(text[]);
create function punctual.write_statuses(sids text[], out held text[], out refusal text, out words text)
language plpgsql as $$
declare
  wanted constant text[] := '{twilio_sid,status,updated_at,delivered_at,twilio_status,twilio_error_code}';
  has constant text[] := punctual.columns_of('messages', wanted);
  its_constraint text;
  its_table text;
  its_column text;
  its_context text;
  ours text[];
begin
  if to_regproc('punctual.app__statuses') is not null then
    held := punctual.mapped_statuses(sids);
    set constraints all immediate;
    return;
  end if;
  -- Without a sid or a status column there is nothing to update.
  if not has @> '{twilio_sid,status}' then
    return;
  end if;
  -- Sorted as an array, so that the index on the sid finds them, and not the key on all.
  perform from punctual.attempts a where a.provider_sid = any (sids) order by array[a.token] for share;
  ours := array(select m.twilio_sid::text from public.messages m where m.twilio_sid = any (sids)
                 order by m.twilio_sid for no key update skip locked);
  if has @> wanted then
    update public.messages m
       set status = a.message_status, updated_at = clock_timestamp(), twilio_status = a.receipt_status,
           twilio_error_code = case when a.message_status in ('failed', 'undelivered', 'cancelled')
                                    then punctual.sent_code(a.token, a.provider_sid, a.receipt_status) end,
           delivered_at = case when a.message_status = 'delivered' then coalesce(m.delivered_at, clock_timestamp())
                               else m.delivered_at end
      from punctual.attempts a
     where a.provider_sid = any (ours) and m.twilio_sid = any (array[a.provider_sid]) and a.message_status is not null
       and (m.status is distinct from a.message_status or m.twilio_status is distinct from a.receipt_status);
  else
    execute (
      select pg_catalog.format('update public.messages m set status = a.message_status%s', string_agg(', ' || w.change, ''))
        from (values
          ('updated_at', 'updated_at = clock_timestamp()'), ('twilio_status', 'twilio_status = a.receipt_status'),
          ('twilio_error_code', $q$twilio_error_code = case when a.message_status in ('failed', 'undelivered', 'cancelled')
             then punctual.sent_code(a.token, a.provider_sid, a.receipt_status) end$q$),
          ('delivered_at', $q$delivered_at = case when a.message_status = 'delivered'
             then coalesce(m.delivered_at, clock_timestamp()) else m.delivered_at end$q$)
        ) as w (name, change)
       where w.name = any (has))
      || ' from punctual.attempts a
          where a.provider_sid = any ($1) and m.twilio_sid = any (array[a.provider_sid])
            and a.message_status is not null and m.status is distinct from a.message_status'
      using ours;
  end if;
  held := array(select m.twilio_sid::text from public.messages m
                 where m.twilio_sid = any (sids) and m.twilio_sid <> all (ours));
  set constraints all immediate;
exception when query_canceled or assert_failure or others then
  get stacked diagnostics its_constraint = constraint_name, its_table = table_name, its_column = column_name,
                          its_context = pg_exception_context;
  held := null;
  words := sqlerrm;
  refusal := punctual.refusal('writing delivery statuses to the app''s tables', sqlstate, sqlerrm,
                              its_constraint, its_table, its_column, its_context);
end
$$;

-- The same; what was not written is put in the outbox, to be retried. Returns why the app's tables refused it.
create or replace function punctual.tell_statuses(ids uuid[], sids text[]) returns text
language plpgsql as $$
declare
  wrote record;
begin
  select * into wrote from punctual.write_statuses(sids);
  if wrote.refusal is not null or wrote.held <> '{}' then
    insert into punctual.outbox (message_id, write, last_error, app_error, next_attempt_at)
    select i.id, jsonb_build_object('status_of', i.sid),
           coalesce(wrote.refusal, 'the row is locked by another transaction'), wrote.words,
           clock_timestamp() + interval '1 second'
      from unnest(ids, sids) as i (id, sid)
     where wrote.refusal is not null or i.sid = any (wrote.held);
  end if;
  return wrote.refusal;
end
$$;

-- Corrects the text of the app's messages to what was sent, where a callback came first and the row's text was
-- written; returns why the app's table refused. Then the text stays wrong there, and the ledger has the right
-- one.
create or replace function punctual.correct_messages(sids text[], sent text[], told text[]) returns text
language plpgsql as $$
declare
  its_constraint text;
  its_table text;
  its_column text;
  its_context text;
begin
  if to_regproc('punctual.app__correct') is not null then
    perform punctual.mapped_correct(sids, sent, told);
    return null;
  end if;
  if not punctual.columns_of('messages', '{twilio_sid,body}') @> '{twilio_sid,body}' then
    return null;
  end if;
  update public.messages m
     set body = c.sent
    from unnest(sids, sent, told) as c (sid, sent, told)
   where m.twilio_sid = any (array[c.sid]) and m.body = c.told;
  return null;
exception when query_canceled or assert_failure or others then
  get stacked diagnostics its_constraint = constraint_name, its_table = table_name, its_column = column_name,
                          its_context = pg_exception_context;
  return punctual.refusal('writing sent texts to the app''s tables', sqlstate, sqlerrm,
                          its_constraint, its_table, its_column, its_context);
end
$$;
