-- A message may miss a change while the daemon has it follow an earlier one: then the app's transaction
-- adds to the list, and waits for nobody to do so. So a message may be in it more than once.
do $$
begin
  if not exists (select from pg_catalog.pg_attribute a
                  where a.attrelid = 'punctual.unfollowed'::regclass and a.attname = 'id' and not a.attisdropped) then
    alter table punctual.unfollowed
      drop constraint unfollowed_pkey,
      add column id bigint generated always as identity primary key;
  end if;
end
$$;
create index if not exists unfollowed_message_idx on punctual.unfollowed (message_id);
