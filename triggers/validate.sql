-- Triggers on scheduled_messages that judge what is written: whether a message can be sent, by the form of its
-- values. Re-runnable; replaced as a whole.
--
-- And a status, priority, in_doubt or max_attempts that is none is refused in any mode, with the SQLSTATE (23514) and
-- the name of the CHECK that was there for it before.
--
-- They run inside the app's own statements, once a statement; after an INSERT only if a row of it needs a look
-- (guard_insert in scheduled_messages.sql), or is another writer's (writers.sql). PUNCTUAL_VALIDATE, which the daemon
-- keeps in punctual.settings, decides whether a row that cannot be sent is reported or refused; a session that has set
-- punctual.validate to 'refuse' has its own refused. They cause no other error: if the check itself
-- fails, the row passes. The settings are read with the owner's rights, because the app's roles have none on schema
-- punctual; nothing of the app's runs in here.

-- Records what a statement has written with punctual.writer = 'on' by a session that does not name its program: one row
-- for each transaction and role. It cannot fail. Within functions that have the owner's rights.
create or replace function punctual.record_write(op text, n bigint) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  -- The role of the statement: in here current_user is the owner of this function.
  writer constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
  stack text;
begin
  -- A daemon's role. While a daemon of an earlier version runs, which did not record its role, nobody is recorded.
  if n = 0
     or exists (select from punctual.instances i where i.role = writer)
     or exists (select from punctual.instances i
                 where i.stopped_at is null and i.role is null
                   and i.heartbeat_at > clock_timestamp() - interval '1 minute')
  then
    return;
  end if;
  get diagnostics stack = pg_context;
  if stack ~ '(?n)^PL/pgSQL function punctual\.erase\(uuid\) line ' then
    return;
  end if;
  insert into punctual.foreign_writes as w (xid, role, guarded, inserted, updated, deleted)
  values (pg_current_xact_id()::text::bigint, writer,
          not has_table_privilege(writer, 'punctual.attempts'::regclass, 'INSERT'),
          case op when 'INSERT' then n else 0 end, case op when 'UPDATE' then n else 0 end,
          case op when 'DELETE' then n else 0 end)
  on conflict (xid, role) do update
     set inserted = w.inserted + excluded.inserted, updated = w.updated + excluded.updated,
         deleted = w.deleted + excluded.deleted;
exception when others then
  raise warning 'a write with punctual.writer = on could not be recorded: SQLSTATE %', sqlstate;
end
$$;

create or replace function punctual.validate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
<<own>>
declare
  asked constant boolean := coalesce(current_setting('punctual.validate', true) = 'refuse', false);
  mode text;
  separator text;
  count bigint;
  first uuid;
  fault text;
  zone text;
  words text;
  unknown text[];
  stack text;
begin
  begin
    select f.unknown into unknown
      from (select unknown!(n) as unknown from new_rows n where not is_known!(n)) f
     where f.unknown is not null
     limit 1;
  exception when undefined_column or datatype_mismatch then
    unknown := null;
  end;
  if unknown is not null then
    raise exception using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name,
      column = unknown[1], constraint = 'scheduled_messages_' || unknown[1] || '_punctual', message = unknown[2];
  end if;
  if tg_op = 'INSERT' then
    -- Within a function, or a trigger of the app's, this may be in the middle of a statement that has rows to be
    -- judged: then the mark stays to the end of the transaction.
    get diagnostics stack = pg_context;
    if strpos(stack, E'\n') = 0 then
      perform set_config('punctual.judge', '', true);
    end if;
    if is_unnamed_writer!() then
      perform punctual.record_write(tg_op, (select pg_catalog.count(*) from new_rows));
    end if;
    -- In here current_user is the owner of this function.
    if current_setting('punctual.writer', true) = 'on' then
      if has_table_privilege(coalesce(nullif(current_setting('role'), 'none'), session_user)::name,
                             'punctual.attempts'::regclass, 'INSERT')
      then
        return null;
      end if;
    end if;
  end if;
  -- Asked first, as in guard_insert: the rest of the condition has a subquery.
  if current_setting('row_security') = 'off' then
    if restoring!() then
      return null;
    end if;
  end if;
  begin
    select s.validate, s.part_separator into mode, separator from punctual.settings s;
    -- What follows a row of a source table is not refused: that row is the app's, and may have no number yet.
    mode := case when coalesce(current_setting('punctual.from_source', true), '') = 'on' then 'warn'
                 when asked then 'refuse' else coalesce(mode, 'warn') end;
    separator := coalesce(separator, '[BUBBLE]');
    if tg_op = 'INSERT' then
      -- What is plain needs no more: the whole check costs a statement of one row four times as much.
      if not exists (select from new_rows n
                      where n.status = 'pending'
                        and (is_plain!(n) and is_known!(n) and n.timezone is null
                             and (n.template_vars is not null or own.separator = '' or strpos(n.body, own.separator) = 0))
                            is not true)
      then
        count := 0;
      else
        select count(*), (array_agg(r.id))[1], (array_agg(r.fault))[1] into count, first, fault
          from (select n.id, fault!(n) as fault from new_rows n where n.status = 'pending') r
         where r.fault is not null;
        words := (select concat(n.priority, '/', n.in_doubt, '/', n.max_attempts)
                    from new_rows n where not is_known!(n) limit 1);
        zone := (select n.timezone from new_rows n where n.status = 'pending' and n.timezone is not null limit 1);
      end if;
    else
      -- An update of another column is not judged.
      select count(*), (array_agg(r.id))[1], (array_agg(r.fault))[1] into count, first, fault
        from (select n.id, fault!(n) as fault
                from new_rows n
                join old_rows o on o.id = n.id
               where n.status = 'pending'
                 and (o.status <> 'pending' or judged!(o) is distinct from judged!(n))) r
       where r.fault is not null;
    end if;
  exception when others then
    return null;
  end;
  if count = 0 then
    -- So that guard_insert recognizes the next ones. No separator has a control character.
    if tg_op = 'INSERT' then
      perform set_config('punctual.separator', coalesce(nullif(separator, ''), E'\x01'), false),
              set_config('punctual.zone', coalesce(zone, ''), false),
              set_config('punctual.words', coalesce(words, ''), false),
              set_config('punctual.read_at', these_seconds!(), false);
    end if;
    return null;
  end if;
  if mode = 'refuse' then
    raise exception using errcode = 'PT422',
      message = format('message %s cannot be sent: %s', first, fault)
                || case when count > 1 then format(' (and %s more)', count - 1) else '' end,
      hint = 'Nothing was written. Correct it'
             || case when asked then '.' else ', or have PUNCTUAL_VALIDATE = warn accept such rows.' end;
  end if;
  raise warning '% of the messages cannot be sent as they are (the first: %: %)', count, first, fault;
  return null;
end
$$;

-- What a session that replicates writes is held to the same words. The role of such a session may be one of the app's.
create or replace function punctual.check_replicated() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  unknown text[];
begin
  begin
    if not is_known!(new) then
      unknown := unknown!(new);
    end if;
  -- The app has dropped a column, or altered its type since this session first wrote.
  exception when undefined_column or datatype_mismatch then
    return new;
  end;
  if unknown is not null then
    raise exception using errcode = 'check_violation', schema = tg_table_schema, table = tg_table_name,
      column = unknown[1], constraint = 'scheduled_messages_' || unknown[1] || '_punctual', message = unknown[2];
  end if;
  return new;
end
$$;

-- A version before had CHECKs for these words, which cost each statement more than the rest of what Punctual looks at.
do $$
declare
  checks text;
begin
  select string_agg(format('drop constraint %I', c.conname), ', ') into checks
    from pg_catalog.pg_constraint c
   where c.conrelid = 'public.scheduled_messages'::regclass and c.contype = 'c'
     and c.conname in ('scheduled_messages_status_punctual', 'scheduled_messages_priority_punctual',
                       'scheduled_messages_in_doubt_punctual', 'scheduled_messages_max_attempts_punctual');
  if checks is not null then
    execute 'alter table public.scheduled_messages ' || checks;
  end if;
end
$$;

create or replace trigger zzz_punctual_check_replicated
  before insert or update on public.scheduled_messages for each row
  execute function punctual.check_replicated();
alter table public.scheduled_messages enable replica trigger zzz_punctual_check_replicated;

-- A version before had a trigger of its own that recorded who inserts with punctual.writer = 'on'. First, because it
-- takes the strongest lock.
do $$
begin
  if exists (select from pg_catalog.pg_trigger t
              where t.tgrelid = 'public.scheduled_messages'::regclass and t.tgname = 'punctual_writer_insert')
  then
    drop trigger punctual_writer_insert on public.scheduled_messages;
  end if;
end
$$;

create or replace trigger punctual_validate_insert
  after insert on public.scheduled_messages
  referencing new table as new_rows for each statement
  when (current_setting('punctual.judge', true) <> '')
  execute function punctual.validate();

create or replace trigger punctual_validate_update
  after update on public.scheduled_messages
  referencing old table as old_rows new table as new_rows for each statement
  when (not is_writer!())
  execute function punctual.validate();

-- A message whose media cannot be sent is not sent as a text alone: it fails when it is written, as one of a channel
-- that is not supported does. Its media are media_urls, or, if these are empty, those of the column media_url that an
-- app's table may have, of any type; that is read as JSON, so that the app may drop it.
create or replace function punctual.fail_media() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  media text[] := nullif(new.media_urls, '{}');
  own jsonb;
  fault text;
begin
  if new.status <> 'pending' then
    return new;
  end if;
  if current_setting('punctual.writer', true) = 'on' then
    if may_write_ledger!() then
      return new;
    end if;
  end if;
  if media is null then
    own := to_jsonb(new) -> 'media_url';
    media := case when jsonb_typeof(own) = 'array' then array(select e.url from jsonb_array_elements_text(own) e (url))
                  when btrim(own #>> '{}', white!()) not in ('', '[]', '{}') then array[own #>> '{}'] end;
  end if;
  if cardinality(media) > 0 then
    fault := (select media_fault!(o) from (select new.channel as channel, media as media) o);
    if fault is not null and not restoring!() then
      new.status := 'failed';
      new.error_message := fault;
    end if;
  end if;
  return new;
end
$$;

create or replace trigger zzz_punctual_media_urls
  before insert or update on public.scheduled_messages for each row
  when (new.media_urls is not null)
  execute function punctual.fail_media();

do $$
begin
  if exists (select from pg_catalog.pg_attribute a
              where a.attrelid = 'public.scheduled_messages'::regclass and a.attname = 'media_url'
                and not a.attisdropped)
  then
    create or replace trigger zzz_punctual_media
      before insert or update on public.scheduled_messages for each row
      when (new.status = 'pending' and new.media_urls is null and not is_writer!())
      execute function punctual.fail_media();
  end if;
end
$$;
