-- What is past its own send_before is looked for every few seconds. As before: only on tables where
-- that is over in a moment, `punctual migrate` builds it on larger ones.

do $$
begin
  if to_regclass('public.scheduled_messages_send_before_idx') is null
     and pg_catalog.pg_has_role((select c.relowner from pg_catalog.pg_class c
                                  where c.oid = 'public.scheduled_messages'::regclass), 'usage')
     and (select count(*) < 100000 from (select from public.scheduled_messages limit 100000) few)
  then
    create index scheduled_messages_send_before_idx on public.scheduled_messages (send_before)
     where send_before is not null and status = 'pending';
  end if;
end
$$;
