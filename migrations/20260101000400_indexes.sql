-- What is upcoming, by its due time; and the look-ups made for every message sent. Writers wait
-- while an index is built this way, so only on tables where that is over in a moment: on larger
-- ones `punctual migrate` builds the same indexes CONCURRENTLY, which no migration can.

do $$
declare
  wanted record;
  at_least_large boolean;
begin
  for wanted in
    select w.tab, w.name, w.rest
      from (values
        ('scheduled_messages', 'scheduled_messages_due_idx', null,
         '((greatest(scheduled_at, deferred_until, next_attempt_at))) where status = ''pending'''),
        ('scheduled_messages', 'scheduled_messages_open_idx', null,
         '(status) where status in (''sending'', ''unconfirmed'')'),
        ('conversations', 'conversations_phone_number_idx', 'phone_number', '(phone_number)'),
        ('contacts', 'contacts_phone_number_idx', 'phone_number', '(phone_number)')
      ) as w (tab, name, lookup, rest)
      -- Another's table, or one of another shape, is left alone.
      join pg_catalog.pg_class c
        on c.oid = to_regclass('public.' || w.tab) and c.relkind = 'r'
       and pg_catalog.pg_has_role(c.relowner, 'usage')
     where to_regclass('public.' || w.name) is null
       and (w.lookup is null
            or exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = c.oid and a.attname = w.lookup and not a.attisdropped
                          and not exists (select from pg_catalog.pg_index i
                                           where i.indrelid = c.oid and i.indisvalid and i.indpred is null
                                             and i.indkey[0] = a.attnum)))
  loop
    execute format('select count(*) = 100000 from (select from public.%I limit 100000) few', wanted.tab)
      into at_least_large;
    if not at_least_large then
      execute format('create index %I on public.%I %s', wanted.name, wanted.tab, wanted.rest);
    end if;
  end loop;
end
$$;
