-- What is looked up when an event or a user's wishes change, and that no two messages of one key
-- are under way. As before: only on tables where that is over in a moment, `punctual migrate` builds
-- them on larger ones. Where there are two of one key already, the app goes on as it did;
-- `punctual doctor` says so.

do $$
declare
  wanted record;
begin
  if not pg_catalog.pg_has_role((select c.relowner from pg_catalog.pg_class c
                                  where c.oid = 'public.scheduled_messages'::regclass), 'usage')
     or (select count(*) = 100000 from (select from public.scheduled_messages limit 100000) few)
  then
    return;
  end if;
  for wanted in
    select w.name, w.kind, w.rest
      from (values
        ('scheduled_messages_event_idx', 'index', '(calendar_event_id, user_id) where calendar_event_id is not null'),
        ('scheduled_messages_user_idx', 'index', '(user_id) where user_id is not null and status in (''pending'', ''sending'', ''unconfirmed'')'),
        ('scheduled_messages_dedup_key', 'unique index', '(dedup_key) where dedup_key is not null and status in (''pending'', ''sending'', ''unconfirmed'')')
      ) as w (name, kind, rest)
     where to_regclass('public.' || w.name) is null
  loop
    begin
      execute format('create %s %I on public.scheduled_messages %s', wanted.kind, wanted.name, wanted.rest);
    exception when unique_violation then
      raise notice 'some messages under way share a dedup_key: it is not held to be unique';
    end;
  end loop;
end
$$;
