-- Replies that set or lifted an opt-out, by the provider's names for them. Kept for good, for a signature has no time
-- in it: a reply that is posted again years later is known by its name alone.
create table if not exists punctual.opt_replies (
  id          text primary key,
  command     text not null check (command in ('stop', 'start')),
  received_at timestamptz not null default clock_timestamp()
);

-- What is done about a row of the app's that cannot be sent as it is written: `warn` accepts it and warns, `refuse`
-- refuses it. The daemon writes it here (PUNCTUAL_VALIDATE), and the check of the app's inserts reads it.
alter table punctual.settings add column if not exists validate text not null default 'warn';

-- What is pending for a number, as the number is read: without the white space around it, of whatever kind. On larger
-- tables `punctual migrate` builds it CONCURRENTLY. The one on `btrim(to_number)`, which knows spaces alone, is for the
-- program before this one.
do $$
declare
  wanted record;
  large boolean;
begin
  for wanted in
    select w.tab, w.name, w.rest
      from (values
        ('scheduled_messages', 'scheduled_messages_to_number_idx', null,
         '(btrim(to_number, E'' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'')) where status = ''pending''')
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
