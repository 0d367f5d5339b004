-- Source tables: tables of the app's with other names, each row of which is followed by a message. Re-runnable;
-- replaced as a whole. What is made for each table, from one text, is in source_setup.sql.
--
--   row of the source ─▶ source_changed ─▶ source_asks ─▶ scheduled_messages           (in the app's statement)
--   scheduled_messages ─▶ source_outcome ─▶ source_writes ─▶ write_back ─▶ row of the source      (by a daemon)
--
-- What takes away the right to send is applied in the app's own statement, or that statement fails with PT409: so a row
-- of the source never says that it is not to be sent while its message may be. The functions have the owner's rights,
-- because the app's roles have none on scheduled_messages: whoever may write the source may send. They write as a user
-- does, so the guard and the notifications apply. An outcome is written back in a transaction of its own, after the one
-- that recorded it.

-- What each change asks of the message that follows the row. `make`: there is none, and there is to be one. `replace`:
-- the key is that of a new row. `edit`. `requeue`: set it back to pending. `take`: it is not to be sent, or the app
-- decides about it from now on. `delete`. `late`: what is asked cannot be done.
create or replace function punctual.source_asks(it punctual.sources, changes punctual.source_change[])
returns punctual.source_ask[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  return array(
    select q.ask from (
    select row(case
                 when c.new_key is null then
                   case when m.status = 'sending' then 'late' else 'delete' end
                 -- By what workers call, which has seen to the message.
                 when it.definition ? 'jobs' and c.key = current_setting('punctual.job_call', true) then null
                 when r.message_id is null then case when c.wants then 'make' end
                 when c.old_key is null or m.status is null and c.wants and not c.wanted then
                   case when m.status = 'sending' then 'late' when c.wants then 'replace' else 'delete' end
                 when m.status is null or c.wants and c.wanted and not c.differs then null
                 when c.wants then
                   -- A job that was run may be run again.
                   case when it.definition ? 'jobs' and m.status in ('sent', 'delivered', 'unconfirmed') and not c.wanted then 'replace'
                        when m.status in ('sending', 'sent', 'delivered', 'unconfirmed') then 'late'
                        when c.wanted then 'edit' else 'requeue' end
                 -- A sender of the app's would send all of it.
                 when c.word = any (it.claimed) and c.word is distinct from c.old_word
                      and (m.status in ('sent', 'delivered') or m.parts_done > 0
                           or exists (select from punctual.attempts a where a.message_id = r.message_id and unsettled!(a)))
                   then 'late'
                 when m.status in ('sent', 'delivered') then
                   case when c.word is distinct from c.old_word and c.word = it.words ->> 'cancelled' then 'late' end
                 when m.status in ('failed', 'cancelled') then
                   case when not r.taken and c.word is distinct from it.words ->> m.status then 'take' end
                 when m.status = 'pending' then
                   case when c.wanted or c.word is distinct from c.old_word then 'take' end
                 when not c.differs and (c.word = it.words ->> m.status or c.word is not distinct from c.old_word)
                   then null
                 else 'late'
               end, c.key, r.message_id, m.status, c.before, c.after)::punctual.source_ask as ask
      from (
        select u.before, u.after, coalesce(a.key, b.key) as key, a.key as new_key, b.key as old_key, a.word,
               b.word as old_word, coalesce(b.word = any (it.pending) and b.due is not null, false) as wanted,
               coalesce(a.word = any (it.pending) and a.due is not null, false) as wants,
               (b.due, b.body, b.recipient, b.sender, b.user_id, b.timezone, b.message_type, b.priority,
                b.calendar_event_id, b.event_start, b.send_before, b.max_attempts, b.subject, b.channel)
               is distinct from
               (a.due, a.body, a.recipient, a.sender, a.user_id, a.timezone, a.message_type, a.priority,
                a.calendar_event_id, a.event_start, a.send_before, a.max_attempts, a.subject, a.channel) as differs
          from unnest(changes) as u
         cross join lateral (select (u.before).*) b
         cross join lateral (select (u.after).*) a) c
      left join lateral (
        select o.message_id, o.taken from punctual.source_rows o where o.source = it.name and o.key = c.key offset 0) r on true
      left join lateral (select o.status, o.parts_done from public.scheduled_messages o where o.id = r.message_id offset 0) m on true
    offset 0) q where (q.ask).act is not null);
end
$$;

-- A message for each of these rows that is followed by none. Returns the others, as changes.
create or replace function punctual.source_make(src text, fresh punctual.source_row[]) returns punctual.source_change[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  none constant punctual.source_row := null;
  writer constant text := current_setting('punctual.writer', true);
  from_source constant text := current_setting('punctual.from_source', true);
  made text[];
begin
  -- With the owner's rights the caller's setting would have an effect.
  perform set_config('punctual.writer', '', true), set_config('punctual.from_source', 'on', true);
  with made as materialized (
    select gen_random_uuid() as id, u.* from unnest(fresh) as u
  ), kept as (
    insert into punctual.source_rows (source, key, message_id)
    select src, f.key, f.id from made f
    on conflict (source, key) do nothing
    returning key, message_id
  ), written as (
    insert into public.scheduled_messages (id, to_number, from_number, body, subject, scheduled_at, status, user_id, timezone,
                                           channel, message_type, priority, calendar_event_id, event_start, send_before,
                                           max_attempts)
    select f.id, coalesce(f.recipient, ''), f.sender, coalesce(f.body, ''), f.subject, f.due, 'pending', f.user_id,
           f.timezone, coalesce(f.channel, 'sms'), f.message_type, coalesce(f.priority, 'normal'), f.calendar_event_id,
           f.event_start, f.send_before, coalesce(f.max_attempts, 3)
      from made f
      join kept k on k.message_id = f.id
    returning id, status
  ), failed as (
    -- What cannot be sent has failed when it was written.
    insert into punctual.source_writes (message_id)
    select w.id from written w where w.status <> 'pending'
  )
  select array_agg(k.key) into made from kept k;
  perform set_config('punctual.writer', coalesce(writer, ''), true),
          set_config('punctual.from_source', coalesce(from_source, ''), true);
  if cardinality(made) = cardinality(fresh) then
    return '{}';
  end if;
  return array(select row(none, u)::punctual.source_change from unnest(fresh) as u where u.key <> all (coalesce(made, '{}')));
end
$$;

-- The changes of messages that are to be sent: what was changed of the row; of one that is set back, all of it.
create or replace function punctual.source_edit(asks punctual.source_ask[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_nestloop = off set enable_mergejoin = off as $$
declare
  ids constant uuid[] := array(select u.message_id from unnest(asks) as u where u.act in ('edit', 'requeue'));
begin
  with edited as (
    update public.scheduled_messages m
       set status = case when e.again then 'pending' else m.status end,
           to_number = case when e.again or b.recipient is distinct from a.recipient then coalesce(a.recipient, '') else m.to_number end,
           from_number = case when e.again or b.sender is distinct from a.sender then a.sender else m.from_number end,
           body = case when e.again or b.body is distinct from a.body then coalesce(a.body, '') else m.body end,
           subject = case when e.again or b.subject is distinct from a.subject then a.subject else m.subject end,
           scheduled_at = case when e.again or b.due is distinct from a.due then a.due else m.scheduled_at end,
           user_id = case when e.again or b.user_id is distinct from a.user_id then a.user_id else m.user_id end,
           timezone = case when e.again or b.timezone is distinct from a.timezone then a.timezone else m.timezone end,
           channel = case when e.again or b.channel is distinct from a.channel then coalesce(a.channel, 'sms') else m.channel end,
           message_type = case when e.again or b.message_type is distinct from a.message_type then a.message_type
                               else m.message_type end,
           priority = case when e.again or b.priority is distinct from a.priority then coalesce(a.priority, 'normal')
                           else m.priority end,
           calendar_event_id = case when e.again or b.calendar_event_id is distinct from a.calendar_event_id
                                    then a.calendar_event_id else m.calendar_event_id end,
           event_start = case when e.again or b.event_start is distinct from a.event_start then a.event_start
                              else m.event_start end,
           send_before = case when e.again or b.send_before is distinct from a.send_before then a.send_before
                              else m.send_before end,
           max_attempts = case when e.again or b.max_attempts is distinct from a.max_attempts
                               then coalesce(a.max_attempts, 3) else m.max_attempts end,
           updated_at = clock_timestamp()
      from (select u.message_id, u.act = 'requeue' as again, u.before, u.after from unnest(asks) as u
             where u.act in ('edit', 'requeue')) e
     cross join lateral (select (e.before).*) b
     cross join lateral (select (e.after).*) a
     where m.id = e.message_id and m.id = any (ids)
    returning m.id, m.status, e.again
  ), released as (
    update punctual.source_rows r set taken = false
      from edited e where r.message_id = e.id and r.message_id = any (ids) and e.again and r.taken
  )
  -- It cannot be sent as it is now.
  insert into punctual.source_writes (message_id)
  select e.id from edited e where e.status = 'failed';
end
$$;

-- The messages of rows that are not to be sent, or no longer by a daemon.
create or replace function punctual.source_take(it punctual.sources, asks punctual.source_ask[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_nestloop = off set enable_mergejoin = off as $$
declare
  ids constant uuid[] := array(select u.message_id from unnest(asks) as u where u.act = 'take');
begin
  with taken as (
    update punctual.source_rows r set taken = true
      from unnest(asks) as u
     where u.act = 'take' and r.message_id = u.message_id and r.message_id = any (ids)
    returning r.message_id, u.status, (u.after).word
  )
  update public.scheduled_messages m
     set status = t.becomes,
         sent_at = case when t.becomes = 'sent' then clock_timestamp() else m.sent_at end,
         error_message = case when t.becomes = 'failed' then format('the app has set its row of %s so', it.table_name)
                              else m.error_message end,
         cancel_reason = case when t.becomes <> 'cancelled' then m.cancel_reason
                              when t.word = any (it.claimed) then 'a sender of the app''s has taken it'
                              else format('by its row of %s', it.table_name) end,
         updated_at = clock_timestamp()
    from (select message_id, word,
                 case when word in (it.words ->> 'sent', it.words ->> 'delivered') then 'sent'
                      when word = it.words ->> 'failed' and word is distinct from it.words ->> 'cancelled' then 'failed'
                      else 'cancelled' end as becomes
            from taken where status = 'pending'
          union all
          -- It does not become pending again with its calendar event.
          select message_id, word, 'cancelled' from taken where status = 'cancelled') t
   where m.id = t.message_id and m.id = any (ids);
end
$$;

-- Applies changes of rows to their messages, all or none. Messages are locked in the order of their ids, after their
-- rows; what asks nothing of its message waits for no lock.
create or replace function punctual.source_apply(it punctual.sources, changes punctual.source_change[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  asks punctual.source_ask[] := punctual.source_asks(it, changes);
  ids uuid[];
  late record;
  writer constant text := current_setting('punctual.writer', true);
begin
  if asks = '{}' then
    return;
  end if;
  ids := array(select a.message_id from unnest(asks) as a where a.message_id is not null);
  if ids <> '{}' then
    perform from public.scheduled_messages m where m.id = any (ids) order by m.id for no key update;
    if found then
      asks := punctual.source_asks(it, changes);
    end if;
  end if;
  select a.key, a.status, a.message_id into late from unnest(asks) as a where a.act = 'late' limit 1;
  if found then
    raise exception using errcode = 'PT409',
      message = format('row %s of %s: its message is %s; it is too late for this change', late.key, it.table_name, late.status),
      hint = case late.status
               when 'sending' then 'It is being sent this moment. Nothing was changed; try again in a moment.'
               when 'unconfirmed'
                 then 'Whether it was sent is not known; settle it with: punctual resolve ' || late.message_id
               when 'sent' then 'It was sent. To send another one, insert a new row.'
               when 'delivered' then 'It was sent. To send another one, insert a new row.'
               else 'Some of it may have been sent; see: punctual why ' || late.message_id end;
  end if;
  -- With the owner's rights the caller's setting would have an effect.
  perform set_config('punctual.writer', '', true), set_config('punctual.from_source', 'on', true);
  -- A statement that deletes nothing runs the triggers of the table too.
  ids := array(select a.message_id from unnest(asks) as a where a.act in ('delete', 'replace'));
  if ids <> '{}' then
    delete from public.scheduled_messages m
     where m.id = any (ids) and not (it.definition ? 'jobs' and m.status in ('sent', 'delivered', 'unconfirmed'));
    delete from punctual.source_rows r where r.message_id = any (ids);
  end if;
  if it.definition ? 'jobs' then
    -- Its attempts count from 0 again.
    delete from punctual.job_runs o
     where o.message_id in (select a.message_id from unnest(asks) as a where a.act in ('delete', 'replace', 'requeue'));
  end if;
  if exists (select from unnest(asks) as a where a.act in ('edit', 'requeue')) then
    perform punctual.source_edit(asks);
  end if;
  if exists (select from unnest(asks) as a where a.act = 'take') then
    perform punctual.source_take(it, asks);
  end if;
  if exists (select from unnest(asks) as a where a.act in ('make', 'replace')) then
    perform punctual.source_make(it.name, array(select a.after from unnest(asks) as a where a.act in ('make', 'replace')));
  end if;
  perform set_config('punctual.writer', coalesce(writer, ''), true), set_config('punctual.from_source', '', true);
end
$$;

-- The error of a statement of the app's whose changes could not be applied, for this reason.
create or replace function punctual.source_refuse(tab text, state text, reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception using errcode = 'PT409',
    message = format('a change of %s could not be applied to its messages: SQLSTATE %s%s', tab, state,
                     case when left(state, 2) in ('42', '53', '55', '57', '58') then ', ' || reason else '' end),
    hint = 'Nothing was changed; try again in a moment.';
end
$$;

-- The same, for the triggers. Whatever prevents it is an error of the app's statement, which can be tried again. Its
-- statements go by key, whatever the tables are like when they are planned, and are planned once.
create or replace function punctual.source_changed(src text, changes punctual.source_change[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  it punctual.sources;
begin
  select * into it from punctual.sources s where s.name = src;
  -- A snapshot from before the row was followed does not show its message.
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    if exists (select from unnest(changes) as u
                where (u.before).word = any (it.pending) and (u.before).due is not null
                  and not exists (select from punctual.source_rows r where r.source = src and r.key = (u.before).key))
    then
      raise exception using errcode = '40001',
        message = format('rows of %s have been followed since this transaction began', it.table_name),
        hint = 'Try the transaction again.';
    end if;
  end if;
  perform punctual.source_apply(it, changes);
exception when others then
  -- What is said already, and what a driver repeats by itself.
  if left(sqlstate, 2) in ('PT', '40') then
    raise;
  end if;
  perform punctual.source_refuse(it.table_name, sqlstate, sqlerrm);
end
$$;

-- The same, for rows that are new. Most are followed by no message, and ask nothing of one; a key that was used before
-- is.
create or replace function punctual.source_inserted(src text, fresh punctual.source_row[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  others punctual.source_change[];
begin
  others := punctual.source_make(src, fresh);
  if others <> '{}' then
    perform punctual.source_changed(src, others);
  end if;
exception when others then
  if left(sqlstate, 2) in ('PT', '40') then
    raise;
  end if;
  perform punctual.source_refuse((select s.table_name from punctual.sources s where s.name = src), sqlstate, sqlerrm);
end
$$;

-- The numbers of these users have changed: those of messages that are pending and follow a row of the source, of which
-- no part was sent. Whatever prevents it is an error of the app's statement, as above.
create or replace function punctual.source_numbers(src text, users uuid[], numbers text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  ids uuid[];
  become text[];
  writer constant text := current_setting('punctual.writer', true);
begin
  if users is null then
    return;
  end if;
  select array_agg(h.id), array_agg(h.number) into ids, become
    from (select m.id, coalesce(c.number, '') as number
            from unnest(users, numbers) as c (whose, number)
           cross join lateral (
             select m.id, m.to_number from public.scheduled_messages m
              where m.user_id = c.whose and m.user_id is not null and m.status = 'pending' and m.parts_done = 0 offset 0) m
           where m.to_number is distinct from coalesce(c.number, '')
             and exists (select from punctual.source_rows r where r.message_id = m.id and r.source = src)
           order by m.id) h;
  if ids is null then
    return;
  end if;
  perform from public.scheduled_messages m where m.id = any (ids) order by m.id for no key update;
  perform set_config('punctual.writer', '', true), set_config('punctual.from_source', 'on', true);
  -- What has been claimed meanwhile is sent to the former number.
  update public.scheduled_messages m
     set to_number = c.number, updated_at = clock_timestamp()
    from unnest(ids, become) as c (id, number)
   where m.id = c.id and m.id = any (ids) and is_pending!(m) and m.parts_done = 0;
  perform set_config('punctual.writer', coalesce(writer, ''), true), set_config('punctual.from_source', '', true);
exception when others then
  if left(sqlstate, 2) in ('PT', '40') then
    raise;
  end if;
  raise exception using errcode = 'PT409',
    message = format('a change of numbers could not be applied to the messages of %s: SQLSTATE %s', src, sqlstate),
    hint = 'Nothing was changed; try again in a moment.';
end
$$;

-- The number of a message that is pending again, if it has changed meanwhile. What is locked is about to be changed by
-- whoever has it.
create or replace function punctual.source_number(message uuid, number text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update public.scheduled_messages m
     set to_number = coalesce(number, ''), updated_at = clock_timestamp()
   where m.id in (select h.id from public.scheduled_messages h
                   where h.id = message and is_pending!(h) and h.parts_done = 0
                     and h.to_number is distinct from coalesce(number, '')
                     for no key update skip locked);
end
$$;

-- The keys that this session's write_back is writing, as JSON: of a source each with its word, if it is a daemon's. In
-- a function with its owner's rights current_user is that owner, so the role is that of the session.
create or replace function punctual.source_own() returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  own constant text := nullif(current_setting('punctual.written_back', true), '');
begin
  if own is not null and current_setting('punctual.writer', true) = 'on'
     and has_table_privilege(coalesce(nullif(current_setting('role'), 'none'), session_user)::name,
                             'punctual.attempts'::regclass, 'INSERT')
  then
    return own;
  end if;
  return null;
end
$$;

-- After TRUNCATE of a source, whose name is the argument: all its rows are deleted.
create or replace function punctual.source_truncated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  writer constant text := current_setting('punctual.writer', true);
begin
  perform set_config('punctual.writer', '', true), set_config('punctual.from_source', 'on', true);
  delete from public.scheduled_messages m using punctual.source_rows r
   where r.source = tg_argv[0] and m.id = r.message_id;
  delete from punctual.source_rows r where r.source = tg_argv[0];
  perform set_config('punctual.writer', coalesce(writer, ''), true), set_config('punctual.from_source', '', true);
  return null;
exception when others then
  if left(sqlstate, 2) in ('PT', '40') then
    raise;
  end if;
  raise exception using errcode = 'PT409',
    message = format('%s could not be truncated: SQLSTATE %s of its messages', tg_table_name, sqlstate),
    hint = 'Nothing was changed; try again in a moment.';
end
$$;

-- ---------------------------------------------------------------------- back

-- On a message that has an outcome, or is to be sent again: it is to be written to its row, if it follows one. The
-- trigger is made with the first source.
create or replace function punctual.source_outcome() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into punctual.source_writes (message_id)
  select r.message_id from punctual.source_rows r where r.message_id = new.id;
  return null;
end
$$;

-- Writes these outcomes, all of one source, to the rows that their messages follow, behind one savepoint: how many.
-- What is refused together is written one by one, so that one row's refusal is not the others'. What is locked waits.
-- `is_over`: the table itself is locked, for what comes after too.
create or replace function punctual.write_outcomes(src text, ids bigint[], keys text[], messages uuid[],
                                                   out written int, out is_over boolean)
language plpgsql set search_path = pg_catalog, 'public', pg_temp as $$
#variable_conflict use_variable
declare
  late text[] := '{}';
  one record;
  its_constraint text;
  its_table text;
  its_column text;
  its_context text;
begin
  is_over := false;
  begin
    if src is not null then
      -- A message with two outcomes has the latest, once.
      execute format('select punctual.%I(array_agg(d.key), array_agg(d.message))
                        from (select distinct u.key, u.message from unnest($1, $2) as u (key, message)) d', 'source__' || src || '_back')
         into late using keys, messages;
      -- What the app has deferred to the end of the transaction is checked now, while it can still be undone.
      set constraints all immediate;
    end if;
    if late = '{}' then
      delete from punctual.source_writes w where w.id = any (ids);
    else
      delete from punctual.source_writes w
       where w.id = any (array(select u.id from unnest(ids, keys) as u (id, key) where u.key <> all (late)));
    end if;
    get diagnostics written = row_count;
    if late <> '{}' then
      update punctual.source_writes w
         set next_attempt_at = clock_timestamp() + interval '250 milliseconds'
       where w.id = any (array(select u.id from unnest(ids, keys) as u (id, key) where u.key = any (late)));
    end if;
    return;
  exception when query_canceled or assert_failure or others then
    written := 0;
    -- The table is locked.
    is_over := sqlstate in ('55P03', '57014');
    if is_over or cardinality(ids) = 1 then
      get stacked diagnostics its_constraint = constraint_name, its_table = table_name, its_column = column_name,
                              its_context = pg_exception_context;
      -- Those that were refused before are written alone.
      update punctual.source_writes w
         -- Of those no row is known to be refused.
         set attempts = w.attempts + case when sqlstate = '55P03' then 0 else 1 end,
             next_attempt_at = clock_timestamp() + least(power(2, least(w.attempts, 11)), 1800) * interval '1 second',
             last_error = punctual.refusal('writing an outcome to ' || src, sqlstate, sqlerrm, its_constraint,
                                           its_table, its_column, its_context)
       where w.id = any (ids);
      return;
    end if;
  end;
  for n in 1 .. cardinality(ids) loop
    select * into one from punctual.write_outcomes(src, ids[n:n], keys[n:n], messages[n:n]);
    written := written + one.written;
    is_over := one.is_over;
    exit when is_over;
  end loop;
end
$$;

-- Writes outcomes to the rows that messages follow, as many as this: those of each source together, and alone what was
-- refused before. Returns how many were written; null: there are no sources. The search path has the app's tables,
-- because the app's own triggers run in here.
create or replace function punctual.write_back(most int) returns int
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  part record;
  done record;
  written int := 0;
begin
  if not exists (select from punctual.sources) then
    return null;
  end if;
  for part in
    select f.source, array_agg(f.id order by f.id) as ids, array_agg(f.key order by f.id) as keys,
           array_agg(f.message_id order by f.id) as messages
      from (select w.id, w.message_id, w.attempts, r.source, r.key
              from unnest(array(select w.id from punctual.source_writes w
                                 where w.next_attempt_at <= statement_timestamp()
                                 order by w.next_attempt_at limit most for update skip locked)) as due (id)
             -- By key, whatever the tables are like when this is planned.
             cross join lateral (
               select o.id, o.message_id, o.attempts from punctual.source_writes o where o.id = due.id offset 0) w
              left join lateral (
               select o.source, o.key from punctual.source_rows o where o.message_id = w.message_id offset 0) r on true) f
     group by f.source, case when f.attempts > 0 then f.id end
     order by min(f.id)
  loop
    select * into done from punctual.write_outcomes(part.source, part.ids, part.keys, part.messages);
    written := written + done.written;
    exit when done.is_over;
  end loop;
  perform set_config('punctual.written_back', '', true);
  return written;
end
$$;

revoke execute on function punctual.source_asks(punctual.sources, punctual.source_change[]),
                           punctual.source_make(text, punctual.source_row[]),
                           punctual.source_edit(punctual.source_ask[]),
                           punctual.source_take(punctual.sources, punctual.source_ask[]),
                           punctual.source_apply(punctual.sources, punctual.source_change[]),
                           punctual.source_changed(text, punctual.source_change[]),
                           punctual.source_inserted(text, punctual.source_row[]), punctual.source_refuse(text, text, text),
                           punctual.source_own(), punctual.write_outcomes(text, bigint[], text[], uuid[]),
                           punctual.source_numbers(text, uuid[], text[]), punctual.source_number(uuid, text),
                           punctual.write_back(int)
  from PUBLIC;

-- What an earlier version has made for a source calls what is gone now. A table that lacks a column has doctor's
-- attention, and the functions are made when it is followed again.
do $$
declare
  it record;
begin
  for it in
    select s.name, s.definition, s.pending, t.tab
      from punctual.sources s
     cross join lateral (select to_regclass(format('%I.%I', s.schema_name, s.table_name)) as tab) t
     where to_regprocedure(format('punctual.%I(text, uuid)', 'source__' || s.name || '_back')) is not null
  loop
    if punctual.source_type(it.tab, it.definition -> 'columns' ->> 'key') is not null
       and punctual.source_type(it.tab, it.definition -> 'columns' ->> 'status') is not null
    then
      execute punctual.source_trigger_text(it.name, it.tab, it.definition, it.pending);
      -- Nor can it be written to a record whose table is gone.
      if punctual.record_faults(it.tab, it.definition) = '{}' then
        execute punctual.source_back_text(it.name, it.tab, it.definition);
      end if;
    end if;
    execute format('drop function punctual.%I(text, uuid)', 'source__' || it.name || '_back');
  end loop;
end
$$;

-- Of earlier versions.
drop function if exists punctual.source_make(text, punctual.source_ask[]),
                        punctual.source_asks(punctual.sources, punctual.source_change[], text),
                        punctual.source_apply(punctual.sources, punctual.source_change[], text),
                        punctual.source_changed(text, punctual.source_change[], text),
                        punctual.source_word(text, text, text), punctual.source_error(text, text, text);
