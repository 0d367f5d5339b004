-- Triggers on scheduled_messages that record who else writes with punctual.writer = 'on', the setting of Punctual's own
-- sessions. Re-runnable; replaced as a whole.
--
-- For a role that may not write the ledger the setting has no effect. For any other the guard lets through what the
-- daemon may do, so it is recorded which rows it was used for. They cannot fail: what could not be recorded is a
-- warning in the server's log. A session that names the number of its program is Punctual's own (session.sql), and is
-- not judged: each claim would take a tenth longer. One of a version before, which named none, is known by its role.

-- Of updates and deletes; inserts are recorded by validate.sql. With the owner's rights, because an app's role has none
-- on schema punctual.
create or replace function punctual.record_writer() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    perform punctual.record_write(tg_op, (select count(*) from old_rows));
  else
    perform punctual.record_write(tg_op, (select count(*) from new_rows));
  end if;
  return null;
end
$$;

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
