-- Triggers on scheduled_messages that record in punctual.history who changes or deletes messages: every session but
-- the daemon's. Re-runnable; replaced as a whole.
--
-- They run in the app's statements. So they cannot fail: what could not be recorded is a warning in the server's log.
-- One statement of the app is one insert here, however many rows it has. Which columns count, and which of their values
-- are not kept, is in ../src/store/expressions/changes.rs.

-- With the owner's rights, because an app's role has none on schema punctual. In a fixed path that has the session's
-- own types last. Without nested loops, because the plan is kept, and the first statement may be of one row and the
-- next of 100,000.
create or replace function punctual.record_changes() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set enable_nestloop = off as $$
declare
  claims constant text := nullif(current_setting('request.jwt.claims', true), '');
  -- The role of the statement: in here current_user is the owner of this function.
  its_role constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
  its_actor constant text := left(nullif(current_setting('punctual.actor', true), ''), 200);
  its_application constant text := nullif(current_setting('application_name'), '');
  its_subject text := nullif(current_setting('request.jwt.claim.sub', true), '');
begin
  if not exists (select from old_rows) then
    return null;
  end if;
  begin
    if claims is not null then
      begin
        its_subject := coalesce(claims::jsonb ->> 'sub', its_subject);
      -- Whatever else an app keeps there.
      exception when others then
      end;
    end if;
    if tg_op = 'DELETE' then
      insert into punctual.history (message_id, op, role, actor, subject, application, old)
      select o.id, 'delete', its_role, its_actor, left(its_subject, 200), its_application, last_values!(o)
        from old_rows o;
    else
      insert into punctual.history (message_id, op, role, actor, subject, application, old, new)
      select c.id, 'update', its_role, its_actor, left(its_subject, 200), its_application, c.old, c.new
        from (select o.id, old_values!() as old, new_values!() as new
                from old_rows o
                join new_rows n on n.id = o.id
              offset 0) c
       where c.new <> '{}';
    end if;
  exception when others then
    raise warning 'a change of messages could not be recorded in punctual.history: SQLSTATE %', sqlstate;
  end;
  return null;
end
$$;

create or replace trigger punctual_history_update
  after update on public.scheduled_messages
  referencing old table as old_rows new table as new_rows for each statement
  when (not is_writer!())
  execute function punctual.record_changes();

create or replace trigger punctual_history_delete
  after delete on public.scheduled_messages
  referencing old table as old_rows for each statement
  when (not is_writer!())
  execute function punctual.record_changes();
