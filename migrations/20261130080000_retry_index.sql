-- In a transaction of its own, because it reads the table.

-- What waits for a retry, for the check of whether the provider can be reached. Nothing else has a `next_attempt_at`, so
-- inserts and sent messages cost nothing more. On larger tables `punctual migrate` builds it CONCURRENTLY.
do $$
declare
  wanted record;
  large boolean;
begin
  for wanted in
    select w.tab, w.name, w.rest
      from (values
        ('scheduled_messages', 'scheduled_messages_retry_idx', null,
         '(next_attempt_at) where status = ''pending'' and next_attempt_at is not null')
      ) as w (tab, name, lookup, rest)
      join pg_catalog.pg_class c
        on c.oid = to_regclass('public.' || w.tab) and c.relkind = 'r'
       and pg_catalog.pg_has_role(c.relowner, 'usage')
     where to_regclass('public.' || w.name) is null
  loop
    execute format('select count(*) = 100000 from (select from public.%I limit 100000) few', wanted.tab) into large;
    continue when large;
    execute format('create index %I on public.%I %s', wanted.name, wanted.tab, wanted.rest);
  end loop;
end
$$;
