-- Only what is pending is looked for by its user; of what is being sent there is little, and it has
-- an index of its own. With it here as well, each claim wrote into a full index twice. As before:
-- only on tables where that is over in a moment, `punctual migrate` builds it on larger ones.

do $$
begin
  if pg_catalog.pg_has_role((select c.relowner from pg_catalog.pg_class c
                              where c.oid = 'public.scheduled_messages'::regclass), 'usage')
     and (select count(*) < 100000 from (select from public.scheduled_messages limit 100000) few)
     and to_regclass('public.scheduled_messages_user_pending_idx') is null
  then
    create index scheduled_messages_user_pending_idx
      on public.scheduled_messages (user_id) where user_id is not null and status = 'pending';
  end if;
end
$$;
