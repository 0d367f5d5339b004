-- Triggers on scheduled_messages that record who else writes with punctual.writer = 'on', the setting of Punctual's own
-- sessions. Re-runnable; replaced as a whole.
--
-- For a role that may not write the ledger the setting has no effect. For any other the guard lets through what the
-- daemon may do, so it is recorded which rows it was used for. They cannot fail: what could not be recorded is a
-- warning in the server's log. A session that names the number of its program is Punctual's own (session.sql), and is
-- not judged: each claim would take a tenth longer. One of a version before, which named none, is known by its role.

-- One row for each transaction and role. With the owner's rights, because an app's role has none on schema punctual.
create or replace function punctual.record_writer() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- The role of the statement: in here current_user is the owner of this function.
  writer constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
  stack text;
  n bigint;
begin
  -- A daemon's role. While a daemon of an earlier version runs, which did not record its role, nobody is recorded.
  if exists (select from punctual.instances i where i.role = writer)
     or exists (select from punctual.instances i
                 where i.stopped_at is null and i.role is null
                   and i.heartbeat_at > clock_timestamp() - interval '1 minute')
  then
    return null;
  end if;
  get diagnostics stack = pg_context;
  if stack ~ '(?n)^PL/pgSQL function punctual\.erase\(uuid\) line ' then
    return null;
  end if;
  if tg_op = 'DELETE' then
    select count(*) into n from old_rows;
  else
    select count(*) into n from new_rows;
  end if;
  if n > 0 then
    insert into punctual.foreign_writes as w (xid, role, guarded, inserted, updated, deleted)
    values (pg_current_xact_id()::text::bigint, writer,
            not has_table_privilege(writer, 'punctual.attempts'::regclass, 'INSERT'),
            case tg_op when 'INSERT' then n else 0 end, case tg_op when 'UPDATE' then n else 0 end,
            case tg_op when 'DELETE' then n else 0 end)
    on conflict (xid, role) do update
       set inserted = w.inserted + excluded.inserted, updated = w.updated + excluded.updated,
           deleted = w.deleted + excluded.deleted;
  end if;
  return null;
exception when others then
  raise warning 'a write with punctual.writer = on could not be recorded: SQLSTATE %', sqlstate;
  return null;
end
$$;

create or replace trigger punctual_writer_insert
  after insert on public.scheduled_messages
  referencing new table as new_rows for each statement
  when (is_unnamed_writer!())
  execute function punctual.record_writer();

create or replace trigger punctual_writer_update
  after update on public.scheduled_messages
  referencing new table as new_rows for each statement
  when (is_unnamed_writer!())
  execute function punctual.record_writer();

create or replace trigger punctual_writer_delete
  after delete on public.scheduled_messages
  referencing old table as old_rows for each statement
  when (is_unnamed_writer!())
  execute function punctual.record_writer();
