-- The users who have a number: an opt-out by reply is written to their preferences. On larger tables `punctual migrate`
-- builds it CONCURRENTLY.
do $$
declare
  wanted record;
  large boolean;
begin
  for wanted in
    select w.tab, w.name, w.rest
      from (values
        ('user_sms_preferences', 'user_sms_preferences_phone_number_idx', 'phone_number',
         '(phone_number)')
      ) as w (tab, name, lookup, rest)
      join pg_catalog.pg_class c
        on c.oid = to_regclass('public.' || w.tab) and c.relkind = 'r'
       and pg_catalog.pg_has_role(c.relowner, 'usage')
      join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attname = w.lookup and not a.attisdropped
     where to_regclass('public.' || w.name) is null
       and not exists (select from pg_catalog.pg_index o
                        where o.indrelid = c.oid and o.indisvalid and o.indpred is null and o.indkey[0] = a.attnum)
  loop
    execute format('select count(*) = 100000 from (select from public.%I limit 100000) few', wanted.tab) into large;
    continue when large;
    execute format('create index %I on public.%I %s', wanted.name, wanted.tab, wanted.rest);
  end loop;
end
$$;
