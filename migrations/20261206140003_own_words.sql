-- Which of the columns with known words are the app's own is kept where a dump of the schema alone, or of schema public
-- alone, has it too: in the comments of these columns, and of punctual.app_words.
do $$
declare
  all_of_them constant text[] := array['priority', 'in_doubt', 'max_attempts'];
  mark constant text := 'made by Punctual';
  kept constant text := obj_description('punctual.app_words'::regclass, 'pg_class');
  marked text[];
  own text[];
  wanted record;
begin
  select coalesce(array_agg(a.attname::text), '{}') into marked
    from pg_catalog.pg_attribute a
   where a.attrelid = 'public.scheduled_messages'::regclass and a.attname = any (all_of_them) and not a.attisdropped
     and col_description(a.attrelid, a.attnum) = mark;
  own := case
           when kept like 'the words of the app: %'
             then array(select w.name from unnest(all_of_them) as w (name)
                         where w.name = any (string_to_array(substr(kept, length('the words of the app: ') + 1), ' ')))
           when marked <> '{}' then array(select w.name from unnest(all_of_them) as w (name) where w.name <> all (marked))
           else array(select w.name from punctual.app_words w) end;
  delete from punctual.app_words;
  insert into punctual.app_words (name) select unnest(own);
  execute format('comment on table punctual.app_words is %L', 'the words of the app: ' || array_to_string(own, ' '));
  for wanted in
    select a.attname
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_class c on c.oid = a.attrelid and pg_catalog.pg_has_role(c.relowner, 'usage')
     where c.oid = 'public.scheduled_messages'::regclass and a.attname = any (all_of_them) and not a.attisdropped
       and a.attname <> all (own) and col_description(a.attrelid, a.attnum) is null
  loop
    execute format('comment on column public.scheduled_messages.%I is %L', wanted.attname, mark);
  end loop;
end
$$;
