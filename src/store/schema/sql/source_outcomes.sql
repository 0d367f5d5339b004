-- On messages that follow a row of a source table, once there is one: their outcomes are to be written to it. Not what
-- the app's own change of that row has made of them.
do $$
begin
  if not exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = 'public.scheduled_messages'::regclass and t.tgname = 'punctual_source_outcome')
  then
    create trigger punctual_source_outcome
      after update on public.scheduled_messages for each row
      when (new.status is distinct from old.status and new.status <> 'sending'
            and coalesce(current_setting('punctual.from_source', true), '') <> 'on')
      execute function punctual.source_outcome();
  end if;
end
$$
