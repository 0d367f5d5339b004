-- How a source table is followed, and no longer: what `punctual migrate` calls for each `[[source]]` of the settings.
-- Re-runnable; replaced as a whole. What the made functions call is in sources.sql.

-- The columns of a source, in the order of punctual.source_row: the name in the settings, and the type as which it is
-- read.
create or replace function punctual.source_columns() returns table (n int, name text, type text)
language sql immutable rows 16 set search_path = pg_catalog, pg_temp as $$
  values (1, 'key', 'text'), (2, 'status', 'text'), (3, 'time', 'timestamptz'), (4, 'body', 'text'), (5, 'number', 'text'),
         (6, 'from', 'text'), (7, 'user', 'uuid'), (8, 'timezone', 'text'), (9, 'type', 'text'), (10, 'priority', 'text'),
         (11, 'event', 'text'), (12, 'event_start', 'timestamptz'), (13, 'send_before', 'timestamptz'),
         (14, 'max_attempts', 'int'), (15, 'subject', 'text'), (16, 'channel', 'text')
$$;

-- The columns that are written, by their names in the settings: of which type, and what of the message `m`. The error:
-- what is said of it in the column for errors.
create or replace function punctual.source_written() returns table (name text, type text, value text)
language sql immutable rows 7 set search_path = pg_catalog, pg_temp as $$
  values ('sent_at', 'timestamptz', 'm.sent_at'), ('delivered_at', 'timestamptz', 'm.delivered_at'),
         ('cancelled_at', 'timestamptz', 'm.cancelled_at'), ('sid', 'text', 'm.twilio_sid'),
         ('error', 'text', 'case m.status when ''unconfirmed'' then ''outcome unknown: do not reset'' when ''cancelled'' then m.cancel_reason '
                           'when ''sent'' then null when ''delivered'' then null else m.error_message end'),
         ('code', 'int', 'm.error_code'), ('attempts', 'int', 'm.attempts')
$$;

-- The type of a column, with its modifier. Null: there is none.
create or replace function punctual.source_type(tab regclass, col text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a
   where a.attrelid = tab and a.attname = col and a.attnum > 0 and not a.attisdropped
$$;

-- The table that numbers are looked up in. Null: they are not, or there is none.
create or replace function punctual.source_number_table(described jsonb) returns regclass
language sql stable set search_path = pg_catalog, pg_temp as $$
  select to_regclass(format('%I.%I', coalesce(described -> 'number_from' ->> 'schema', 'public'),
                            described -> 'number_from' ->> 'table'))
   where described ? 'number_from'
$$;

-- The number of the user of a row, which has this alias, where another table has it; locked, so that whoever changes
-- it meanwhile waits and finds the message. Null: no other table has it.
create or replace function punctual.source_number_text(described jsonb, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format('(select l.%I::text from %s l where l.%I = %s.%I limit 1 for share)', described -> 'number_from' ->> 'column',
                punctual.source_number_table(described), described -> 'number_from' ->> 'key', alias,
                described -> 'columns' ->> 'user')
   where described ? 'number_from'
$$;

-- A row of a source, which has this alias, as punctual.source_row. Of the jobs of a preset: as job_runs.sql has it.
create or replace function punctual.source_row_text(described jsonb, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when described ? 'jobs' then format('punctual.job_row(to_jsonb(%s))', alias) else
         'row(' || string_agg(case when described -> 'columns' ? c.name
                                     then format('%s.%I::%s', alias, described -> 'columns' ->> c.name, c.type)
                                   when c.name = 'number' then coalesce(punctual.source_number_text(described, alias), 'null')
                                   else 'null' end, ', ' order by c.n) || ')::punctual.source_row' end
    from punctual.source_columns() c
$$;

-- When a row of it is due. Null: it is not to be sent.
create or replace function punctual.source_due_text(described jsonb, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when described ? 'jobs' then format('(%s).due', punctual.source_row_text(described, alias))
              else format('%s.%I', alias, described -> 'columns' ->> 'time') end
$$;

-- Those of its columns that are followed.
create or replace function punctual.source_list_text(columns jsonb, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select '(' || string_agg(format('%s.%I', alias, columns ->> c.name), ', ' order by c.n) || ')'
    from punctual.source_columns() c where columns ? c.name
$$;

-- The function of a source's triggers, which passes its changes on, 5,000 rows at a time. What a row is now is read
-- from the table: other triggers of the app's may have changed it since, and what they did was passed on before.
create or replace function punctual.source_trigger_text(src text, tab regclass, described jsonb, pending text[]) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($template$
create or replace function punctual.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $made$
#variable_conflict use_variable
declare
  own jsonb;
  part record;
  few punctual.source_row[];
  none constant punctual.source_row := null;
begin
  if tg_op = 'INSERT' then
    -- Dividing them costs an insert of one row as much as reading it.
    select array_agg(r.fresh) into few
      from (select %3$s as fresh
              from new_rows x
             cross join lateral (select t.* from %11$s t where t.%10$I = x.%10$I offset 0) n
             where n.%7$I::text = any (%8$L::text[]) and %9$s is not null and %12$s
             limit 101) r;
    if cardinality(few) <= 100 then
      perform punctual.source_inserted(%2$L, few);
    elsif few is not null then
      for part in
        select array_agg(r.fresh) as fresh
          from (select %3$s as fresh, (row_number() over () - 1) / 5000 as nth
                  from new_rows x
                 cross join lateral (select t.* from %11$s t where t.%10$I = x.%10$I offset 0) n
                 where n.%7$I::text = any (%8$L::text[]) and %9$s is not null and %12$s) r
         group by r.nth order by r.nth
      loop
        perform punctual.source_inserted(%2$L, part.fresh);
      end loop;
    end if;
  elsif tg_op = 'DELETE' then
    for part in
      select array_agg(r.change) as changes
        from (select row(%4$s, none)::punctual.source_change as change, (row_number() over () - 1) / 5000 as nth
                from old_rows o where not exists (select from %11$s t where t.%10$I = o.%10$I)) r
       group by r.nth order by r.nth
    loop
      perform punctual.source_changed(%2$L, part.changes);
    end loop;
  else
    -- What write_back writes asks nothing of the message that it is from.
    own := punctual.source_own()::jsonb -> %2$L;
    for part in
      select array_agg(r.change) as changes
        from (select row(%4$s, %3$s)::punctual.source_change as change, (row_number() over () - 1) / 5000 as nth
                from (select o.* from old_rows o where %13$s) o
                full join (select n.* from new_rows x
                            cross join lateral (select t.* from %11$s t where t.%10$I = x.%10$I offset 0) n
                            where %12$s) n
                  on n.%10$I = o.%10$I
               where %6$s is distinct from %5$s and (own ->> n.%10$I::text = n.%7$I::text) is not true) r
       group by r.nth order by r.nth
    loop
      perform punctual.source_changed(%2$L, part.changes);
    end loop;
  end if;%14$s
  return null;
end
$made$;
revoke execute on function punctual.%1$I() from PUBLIC$template$,
    'source__' || src, src, punctual.source_row_text(described, 'n'), punctual.source_row_text(described, 'o'),
    punctual.source_list_text(c.columns, 'n'), punctual.source_list_text(c.columns, 'o'), c.columns ->> 'status', pending,
    punctual.source_due_text(described, 'n'), c.columns ->> 'key', tab, punctual.source_filter_text(described, 'n'),
    punctual.source_filter_text(described, 'o'), punctual.source_links_text(src, described))
    from (select described -> 'columns' as columns) c
$$;

-- The function that writes outcomes to rows with these keys, of these messages: the keys of those that are locked, or
-- a record of which is. The messages are read once the rows are locked, so whoever has a row writes the latest. A word
-- that the app alone knows is left as it is.
create or replace function punctual.source_back_text(src text, tab regclass, described jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when described ? 'jobs' then format($template$
create or replace function punctual.%1$I(keys text[], messages uuid[]) returns text[]
language sql set search_path = pg_catalog, pg_temp
as 'select array(select u.key from unnest($1, $2) as u (key, message) where not punctual.job_back(u.key, u.message))';
revoke execute on function punctual.%1$I(text[], uuid[]) from PUBLIC$template$, 'source__' || src || '_back')
  else format($template$
create or replace function punctual.%1$I(keys text[], messages uuid[]) returns text[]
language plpgsql set search_path = pg_catalog, %13$I, pg_temp as $made$
#variable_conflict use_variable
declare
  held text[];
  late text[];
  others text[] := '{}';
  others_of uuid[] := '{}';
begin
  held := array(select t.%4$I::text from %3$s t where t.%4$I = any (keys::%6$s[]) order by t.%4$I for no key update skip locked);
  late := array(select t.%4$I::text from %3$s t where t.%4$I = any (keys::%6$s[]) and t.%4$I::text <> all (held));
%11$s  with m as materialized (
    select u.key, u.message, s.*, coalesce(o.word, t.%5$I::text) as becomes
      from unnest(keys, messages) as u (key, message)
     cross join lateral (select x.taken from punctual.source_rows x where x.message_id = u.message offset 0) r
     cross join lateral (
       select x.status, x.sent_at, x.delivered_at, x.cancelled_at, x.twilio_sid, x.error_message, x.cancel_reason, x.error_code,
              x.attempts
         from public.scheduled_messages x where x.id = u.message offset 0) s
     cross join lateral (select x.%5$I from %3$s x where x.%4$I = u.key::%6$s offset 0) t
     cross join lateral (
       select case when s.status = 'pending' and t.%5$I::text = any (%14$L::text[]) or t.%5$I::text <> all (%15$L::text[]) then null
                   when s.status = 'pending' then (%14$L::text[])[1]
                   else %16$L::jsonb ->> s.status end as word offset 0) o
     where u.key = any (held) and not r.taken and s.status <> 'sending' and (o.word is not null or s.status = 'pending')
  ), own as materialized (
    select set_config('punctual.written_back', jsonb_build_object(%2$L::text, jsonb_object_agg(m.key, m.becomes))::text, true)
      from m having count(*) > 0
  ), written as (
    update %3$s t
       set %5$I = m.becomes::%7$s%8$s
      from m cross join own
     where t.%4$I = any (array[m.key::%6$s])
       and (t.%5$I::text%9$s) is distinct from (m.becomes%10$s)
  )
  select array_agg(m.key), array_agg(m.message) into keys, messages from m;
  if keys is null then
    return late;
  end if;
%12$s  return late;
end
$made$;
revoke execute on function punctual.%1$I(text[], uuid[]) from PUBLIC$template$,
    'source__' || src || '_back', src, tab, columns ->> 'key', columns ->> 'status', k.type, s.type,
    coalesce(w.sets, ''), coalesce(w.are, ''), coalesce(w.become, ''),
    -- It may have changed while the message was being sent.
    case when described ? 'number_from' then format($again$  perform punctual.source_number(u.message, (select %s from %s t where t.%I = u.key::%s))
     from unnest(keys, messages) as u (key, message)
    cross join lateral (select x.taken from punctual.source_rows x where x.message_id = u.message offset 0) r
    cross join lateral (select x.status from public.scheduled_messages x where x.id = u.message offset 0) s
    where u.key = any (held) and not r.taken and s.status = 'pending';
$again$, punctual.source_number_text(described, 't'), tab, columns ->> 'key', k.type) else '' end,
    punctual.source_records_text(tab, described),
    (select n.nspname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = tab),
    array(select jsonb_array_elements_text(described -> 'words' -> 'pending')),
    -- Those that are overwritten.
    array(select jsonb_array_elements_text(coalesce(v.value, '[]'))
            from unnest(array['pending', 'claimed', 'replaced']) as l (name)
           cross join lateral (select described -> 'words' -> l.name as value) v)
    || array(select o.value from jsonb_each_text(outcomes) o),
    outcomes) end
    from (select described -> 'columns' as columns, (described -> 'words') - 'pending' - 'claimed' - 'replaced' as outcomes) d,
         lateral (select string_agg(format(', %I = %s', columns ->> w.name, w.value), '') as sets,
                 string_agg(format(', t.%I', columns ->> w.name), '') as are, string_agg(', ' || w.value, '') as become
            from punctual.source_written() w where d.columns ? w.name) w,
         lateral punctual.source_type(tab, columns ->> 'key') as k (type),
         lateral punctual.source_type(tab, columns ->> 'status') as s (type)
$$;

-- The function that follows rows that were there before, as many as this, from a key on: the last key, and how many.
-- Locked ones are left out.
create or replace function punctual.source_fill_text(src text, tab regclass, described jsonb, pending text[]) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($template$
create or replace function punctual.%1$I(past text, most int, out last_key text, out followed int)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $made$
declare
  fresh punctual.source_row[];
begin
  select array_agg(f.row order by f.nth), count(*), (array_agg((f.row).key order by f.nth desc))[1]
    into fresh, followed, last_key
    from (select row_number() over () as nth, l.row
            from (select %4$s as row from %3$s n
                   where (past is null or n.%5$I > past::%6$s) and n.%7$I::text = any (%8$L::text[]) and %9$s is not null
                     and %11$s
                     and not exists (select from punctual.source_rows r where r.source = %2$L and r.key = n.%5$I::text)
                   order by n.%5$I limit most for no key update of n skip locked) l) f;
  if followed > 0 then
    -- Seen now that the rows are locked: a change of the app's may have made some messages meanwhile.
    fresh := array(select u from unnest(fresh) as u
                    where not exists (select from punctual.source_rows r where r.source = %2$L and r.key = u.key));
    perform punctual.source_inserted(%2$L, fresh);
  end if;
end
$made$;
revoke execute on function punctual.%1$I(text, int) from PUBLIC;
create or replace function punctual.%10$I() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $made$
  select exists (select from %3$s n
                  where n.%7$I::text = any (%8$L::text[]) and %9$s is not null and %11$s
                    and not exists (select from punctual.source_rows r where r.source = %2$L and r.key = n.%5$I::text))
$made$;
revoke execute on function punctual.%10$I() from PUBLIC$template$,
    'source__' || src || '_fill', src, tab, punctual.source_row_text(described, 'n'), c.columns ->> 'key', k.type,
    c.columns ->> 'status', pending,
    punctual.source_due_text(described, 'n'),
    'source__' || src || '_left',
    punctual.source_filter_text(described, 'n'))
    from (select described -> 'columns' as columns) c, lateral punctual.source_type(tab, c.columns ->> 'key') as k (type)
$$;

-- What prevents that a table is followed, by its shape.
create or replace function punctual.source_faults(tab regclass, definition jsonb) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  columns constant jsonb := definition -> 'columns';
  wrong text[] := '{}';
  col record;
begin
  if tab = to_regclass('public.scheduled_messages') then
    return array['it is the table of the messages themselves'];
  end if;
  -- It would end the text of a function that is made.
  if strpos(definition::text, '$made$') > 0 then
    return array['a name with $made$ cannot be used: rename it'];
  end if;
  if (select c.relkind from pg_catalog.pg_class c where c.oid = tab) <> 'r'
     or exists (select from pg_catalog.pg_inherits i where tab in (i.inhparent, i.inhrelid))
  then
    wrong := wrong || 'it must be a plain table, without partitions or tables that inherit'::text;
  end if;
  -- Its triggers run with the rights of this role when outcomes are written: never with more than its owner has.
  if not (select o.oid = me.oid or o.rolsuper or pg_catalog.pg_has_role(o.oid, 'usage') and not me.rolsuper
            from pg_catalog.pg_class c, pg_catalog.pg_roles o, pg_catalog.pg_roles me
           where c.oid = tab and o.oid = c.relowner and me.rolname = current_user)
  then
    wrong := wrong || 'it belongs to another role: run `punctual migrate` as its owner'::text;
  elsif (select c.relforcerowsecurity and not (me.rolsuper or me.rolbypassrls)
           from pg_catalog.pg_class c, pg_catalog.pg_roles me where c.oid = tab and me.rolname = current_user)
  then
    wrong := wrong || 'its owner does not see its rows: alter table … no force row level security'::text;
  end if;
  for col in
    select w.name, w.type, w.written, columns ->> w.name as col, a.attgenerated, ty.typcategory, ty.typname,
           punctual.source_type(tab, columns ->> w.name) as found
      from (select c.name, c.type, c.name = 'status' as written from punctual.source_columns() c
            union all select w.name, w.type, true from punctual.source_written() w) w
      left join pg_catalog.pg_attribute a
        on a.attrelid = tab and a.attname = columns ->> w.name and a.attnum > 0 and not a.attisdropped
      left join pg_catalog.pg_type ty on ty.oid = a.atttypid
     where columns ? w.name or w.name in ('key', 'time', 'body', 'status')
        or w.name = 'number' and not definition ? 'number_from' or w.name = 'user' and definition ? 'number_from'
  loop
    if col.col is null then
      wrong := wrong || format('columns.%s is missing', col.name);
    elsif col.found is null then
      wrong := wrong || format('it has no column %s (columns.%s)', col.col, col.name);
    elsif col.written and col.attgenerated <> '' then
      wrong := wrong || format('column %s is generated, and Punctual writes it (columns.%s)', col.col, col.name);
    elsif not (case
                when col.name = 'key' then col.typname in ('int2', 'int4', 'int8', 'uuid', 'text', 'varchar')
                when col.name = 'status' then col.typcategory in ('S', 'E')
                when col.name = 'body' and definition ? 'jobs' then col.typname in ('json', 'jsonb')
                when col.type = 'text' and col.written then col.typcategory = 'S'
                when col.type = 'text' then col.typcategory in ('S', 'E', 'N') or col.typname = 'uuid'
                when col.type = 'int' and col.written then col.typname in ('int2', 'int4', 'int8')
                when col.type = 'int' then col.typname in ('int2', 'int4')
                else col.typname = col.type end)
    then
      wrong := wrong || format('column %s is %s and must be %s (columns.%s)', col.col, col.found,
                               case when col.name = 'key' then 'an integer, a uuid or text' else col.type end, col.name);
    end if;
  end loop;
  if columns ? 'key'
     and not exists (select from pg_catalog.pg_index i
                       join pg_catalog.pg_attribute a on a.attrelid = tab and a.attname = columns ->> 'key'
                      where i.indrelid = tab and i.indisunique and i.indisvalid and i.indpred is null
                        and i.indnkeyatts = 1 and i.indkey[0] = a.attnum and a.attnotnull)
  then
    wrong := wrong || format('column %s must be its primary key, or unique and not null (columns.key)', columns ->> 'key');
  end if;
  if definition ? 'number_from' then
    wrong := wrong || punctual.source_number_faults(punctual.source_number_table(definition), definition -> 'number_from');
  end if;
  return wrong || punctual.record_faults(tab, definition);
end
$$;

-- What prevents that numbers are looked up in a table.
create or replace function punctual.source_number_faults(tab regclass, described jsonb) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if tab is null then
    return array['there is no table ' || (described ->> 'table') || ' (number_from.table)'];
  elsif not (select pg_catalog.pg_has_role(c.relowner, 'usage') and c.relkind = 'r' from pg_catalog.pg_class c where c.oid = tab) then
    return array[format('the table %s must be a plain table of this role''s (number_from.table)', tab)];
  elsif punctual.source_type(tab, described ->> 'key') is distinct from 'uuid'
        or not exists (select from pg_catalog.pg_index i
                         join pg_catalog.pg_attribute a on a.attrelid = tab and a.attname = described ->> 'key'
                        where i.indrelid = tab and i.indisunique and i.indisvalid and i.indpred is null
                          and i.indnkeyatts = 1 and i.indkey[0] = a.attnum) then
    return array[format('column %s of %s must be a uuid, and unique (number_from.key)', described ->> 'key', tab)];
  elsif punctual.source_type(tab, described ->> 'column') is null then
    return array[format('the table %s has no column %s (number_from.column)', tab, described ->> 'column')];
  end if;
  return '{}';
end
$$;

-- What is wrong with the words of a source: each is either for rows that are to be sent, or for a sender of the app's,
-- or for an outcome, and its column must take those that are written.
create or replace function punctual.source_word_faults(tab regclass, definition jsonb) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  col constant text := definition -> 'columns' ->> 'status';
  pending constant text[] := array(select jsonb_array_elements_text(definition -> 'words' -> 'pending'));
  wrong text[] := '{}';
  it record;
begin
  for it in select w.key as status, w.value as word
              from jsonb_each_text((definition -> 'words') - 'pending' - 'claimed' - 'replaced') w
  loop
    if it.word = any (pending) then
      wrong := wrong || format('the word %L is for rows that are to be sent, so it cannot be the one for %s', it.word, it.status);
    end if;
  end loop;
  for it in select v.word
              from jsonb_array_elements_text(definition -> 'words' -> 'claimed') as v (word) where v.word = any (pending)
  loop
    wrong := wrong || format('the word %L cannot be in both words.pending and words.claimed', it.word);
  end loop;
  return wrong || array(
    select l.lack
      from (select w.value as word from jsonb_each_text((definition -> 'words') - 'pending' - 'claimed' - 'replaced') w
            union select pending[1]) v
     cross join lateral punctual.source_lacks(tab, col, v.word) as l (lack)
     order by v.word);
end
$$;

-- Why a column cannot take a word, and what to do about it: no row, if it can.
create or replace function punctual.source_lacks(tab regclass, col text, word text) returns setof text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  takes boolean;
begin
  begin
    execute format('select %L::%s is not null', word, punctual.source_type(tab, col)) into takes;
  exception when data_exception then
    return next format('the type of column %s has no word %L: alter type %s add value %L', col, word,
                       punctual.source_type(tab, col), word);
    return;
  end;
  return query
    select format('the constraint %I refuses the word %L: drop it, and add it again so that it allows %L', k.conname, word, word)
      from pg_catalog.pg_constraint k
     where k.conrelid = tab and k.contype = 'c'
       -- In this order: it is asked of no constraint that has other columns.
       and case when k.conkey = array(select a.attnum from pg_catalog.pg_attribute a where a.attrelid = tab and a.attname = col)
                then not punctual.source_takes(tab, col, k.oid, word) end;
end
$$;

-- What may be wrong with a source that is followed: words by which a sender of the app's takes a row, which it cannot
-- write.
create or replace function punctual.source_notes(src text) returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format('%s, where a sender of the app''s takes rows by it: %s', src, l.lack)
    from punctual.sources s
   cross join unnest(s.claimed) as w (word)
   cross join lateral (select to_regclass(format('%I.%I', s.schema_name, s.table_name)) as tab) t
   cross join lateral punctual.source_lacks(t.tab, s.definition -> 'columns' ->> 'status', w.word) as l (lack)
   where s.name = src and t.tab is not null
     and punctual.source_type(t.tab, s.definition -> 'columns' ->> 'status') is not null
$$;

-- Whether a CHECK of this column alone takes a word.
create or replace function punctual.source_takes(tab regclass, col text, its_check oid, word text) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  takes boolean;
begin
  execute (select format('select coalesce(%s, true) from (select %L::%s as %I) as probe',
                         pg_catalog.pg_get_expr(k.conbin, k.conrelid), word, punctual.source_type(tab, col), col)
             from pg_catalog.pg_constraint k where k.oid = its_check) into takes;
  return takes;
end
$$;

-- Adds to a table that a preset has made what it refers to, as far as that is there: its column, the other table, and
-- what happens when a row of that is deleted. And on Supabase, which serves every table to the role anon, row level
-- security.
create or replace function punctual.refer(made text, refers jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  tab constant regclass := to_regclass(made);
  wanted record;
begin
  for wanted in
    select r.value ->> 0 as col, c.oid::regclass as target, r.value ->> 2 as on_delete
      from jsonb_array_elements(refers) r
      join pg_catalog.pg_class t on t.oid = tab
      join pg_catalog.pg_class c on c.relnamespace = t.relnamespace and c.relname = r.value ->> 1 and c.relkind in ('r', 'p')
     where pg_catalog.has_table_privilege(c.oid, 'references')
       and exists (select from pg_catalog.pg_constraint k
                     join pg_catalog.pg_attribute a on a.attrelid = c.oid and k.conkey = array[a.attnum]
                    where k.conrelid = c.oid and k.contype in ('p', 'u') and a.attname = 'id' and a.atttypid = 'uuid'::regtype)
  loop
    execute format('alter table %s add foreign key (%I) references %s (id) on delete %s',
                   tab, wanted.col, wanted.target, wanted.on_delete);
  end loop;
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    execute format('alter table %s enable row level security', tab);
  end if;
end
$$;

-- Follows the table of a `[[source]]`: what it says is in ../docs/source-tables.md. Refuses, before anything is
-- changed, and says everything that is in the way at once.
create or replace function punctual.follow(described jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  src constant text := described ->> 'name';
  in_schema constant text := coalesce(described ->> 'schema', 'public');
  tab constant regclass := to_regclass(format('%I.%I', in_schema, described ->> 'table'));
  columns constant jsonb := described -> 'columns';
  said constant jsonb := described -> 'words';
  pending constant text[] := array(select jsonb_array_elements_text(said -> 'pending'));
  wrong text[] := '{}';
  known punctual.sources;
  is_changed boolean;
  event text;
begin
  if tab is null then
    wrong := array['there is no such table'];
  else
    wrong := punctual.source_faults(tab, described);
    if wrong = '{}' then
      wrong := punctual.source_word_faults(tab, described);
    end if;
  end if;
  select * into known from punctual.sources s where s.name = src;
  is_changed := found and known.definition <> described;
  -- Its messages were made by the former description.
  if known.name is not null
     and (not known.pending <@ pending
          or (known.schema_name, known.table_name, known.definition -> 'number_from', known.definition -> 'unless_record_of',
              (known.definition -> 'columns') - array(select w.name from punctual.source_written() w))
             is distinct from
             (in_schema, described ->> 'table', described -> 'number_from', described -> 'unless_record_of',
              columns - array(select w.name from punctual.source_written() w)))
  then
    wrong := wrong || format('it follows %2$I.%3$I by other columns that are read, or by words for rows that are to be sent which '
                             'are gone: punctual migrate --unfollow %1$s first', src, known.schema_name, known.table_name);
  end if;
  select * into known from punctual.sources s
   where s.name <> src and (s.schema_name, s.table_name) = (in_schema, described ->> 'table');
  if found then
    wrong := wrong || format('the source %s follows it already: each message would be sent twice', known.name);
  end if;
  -- They would run with this role's rights, in statements of the app's.
  wrong := wrong || array(
    select format('public.scheduled_messages has the trigger %I, which is not Punctual''s: drop it', t.tgname)
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_proc p on p.oid = t.tgfoid
     where t.tgrelid = 'public.scheduled_messages'::regclass and not t.tgisinternal
       and p.pronamespace <> 'punctual'::regnamespace);
  if wrong <> '{}' then
    raise exception using errcode = 'PU001',
      message = format('the source %s cannot follow the table %I.%I; nothing was changed:', src, in_schema, described ->> 'table')
                || E'\n  - ' || array_to_string(wrong, E'\n  - ');
  end if;

  insert into punctual.sources as s (name, schema_name, table_name, definition, pending, claimed, words)
  values (src, in_schema, described ->> 'table', described, pending,
          array(select jsonb_array_elements_text(said -> 'claimed')), said - 'pending' - 'claimed' - 'replaced')
  on conflict (name) do update
     set definition = excluded.definition, pending = excluded.pending, claimed = excluded.claimed, words = excluded.words;
  -- Whoever has written rows by the former description has committed then, so they are seen by what follows.
  if is_changed then
    execute format('lock table %s in share row exclusive mode', tab);
  end if;
  execute punctual.source_trigger_text(src, tab, described, pending);
  execute punctual.source_back_text(src, tab, described);
  execute punctual.source_fill_text(src, tab, described, pending);
  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    continue when exists (select from pg_catalog.pg_trigger t
                           where t.tgrelid = tab and t.tgname = format('punctual_source_%s', event) and t.tgenabled = 'O');
    execute format('%1$s punctual_source_%2$s after %2$s on %3$s %4$s for each statement execute function punctual.%5$s',
      'create or replace trigger', event, tab,
      case event when 'insert' then 'referencing new table as new_rows' when 'delete' then 'referencing old table as old_rows'
                 when 'update' then 'referencing old table as old_rows new table as new_rows' else '' end,
      case event when 'truncate' then format('source_truncated(%L)', src) else format('%I()', 'source__' || src) end);
  end loop;
end
$$;

-- Has the messages of a source follow the table with the numbers, where there is one. Apart from `follow`: no
-- transaction locks two tables of the app.
create or replace function punctual.follow_numbers(src text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  described constant jsonb := (select s.definition from punctual.sources s where s.name = src);
  tab constant regclass := punctual.source_number_table(described);
  event text;
begin
  if tab is null then
    return;
  end if;
  execute format($template$
create or replace function punctual.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $made$
begin
  if tg_op = 'TRUNCATE' then
    perform punctual.source_numbers(%2$L, array_agg(distinct m.user_id), '{}')
       from punctual.source_rows r join public.scheduled_messages m on m.id = r.message_id
      where r.source = %2$L and m.status = 'pending';
  elsif tg_op = 'INSERT' then
    perform punctual.source_numbers(%2$L, array_agg(n.%3$I), array_agg(n.%4$I::text)) from new_rows n;
  elsif tg_op = 'DELETE' then
    perform punctual.source_numbers(%2$L, array_agg(o.%3$I), array_agg(null::text)) from old_rows o;
  else
    perform punctual.source_numbers(%2$L, array_agg(coalesce(n.%3$I, o.%3$I)), array_agg(n.%4$I::text))
       from old_rows o full join new_rows n on n.%3$I = o.%3$I
      where o.%4$I::text is distinct from n.%4$I::text;
  end if;
  return null;
end
$made$;
revoke execute on function punctual.%1$I() from PUBLIC$template$,
    'source__' || src || '_numbers', src, described -> 'number_from' ->> 'key', described -> 'number_from' ->> 'column');
  foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
    continue when exists (select from pg_catalog.pg_trigger t
                           where t.tgrelid = tab and t.tgname = format('punctual_numbers_%s_%s', src, event) and t.tgenabled = 'O');
    execute format('%1$s %2$I after %3$s on %4$s %5$s for each statement execute function punctual.%6$I()',
      'create or replace trigger', format('punctual_numbers_%s_%s', src, event), event, tab,
      case event when 'insert' then 'referencing new table as new_rows' when 'delete' then 'referencing old table as old_rows'
                 when 'update' then 'referencing old table as old_rows new table as new_rows' else '' end,
      'source__' || src || '_numbers');
  end loop;
end
$$;

-- The same, ended. After `unfollow`: then it has no messages.
create or replace function punctual.unfollow_numbers(src text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- With its triggers.
  execute format('drop function if exists punctual.%I() cascade', 'source__' || src || '_numbers');
end
$$;

-- Ends that a table is followed: its pending messages are deleted, and the table stays as it is.
create or replace function punctual.unfollow(src text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  it punctual.sources;
  tab regclass;
  event text;
  n bigint;
  writer constant text := current_setting('punctual.writer', true);
begin
  perform set_config('punctual.writer', '', true), set_config('punctual.from_source', 'on', true);
  select * into it from punctual.sources s where s.name = src;
  if not found and exists (select from pg_catalog.pg_proc p
                            where p.pronamespace = 'punctual'::regnamespace
                              and p.proname ~ format('^source__%s_(numbers|record_[0-9]+)$', src)) then
    -- Ended, but for `unfollow_numbers` and `unfollow_records`.
    return;
  elsif not found then
    raise exception using errcode = 'PU001', message = format('there is no source %s; followed are: %s', src,
      coalesce((select string_agg(s.name, ', ' order by s.name) from punctual.sources s), 'none'));
  end if;
  select count(*) into n from punctual.sources s where s.definition ->> 'unless_record_of' = src;
  if n > 0 then
    raise exception using errcode = 'PU001', message = format(
      'the source %s leaves out the records of %s: punctual migrate --unfollow that one first',
      (select min(s.name) from punctual.sources s where s.definition ->> 'unless_record_of' = src), src);
  end if;
  tab := to_regclass(format('%I.%I', it.schema_name, it.table_name));
  if tab is not null then
    -- First: whoever writes to the table locks its messages afterwards.
    execute format('lock table %s in access exclusive mode', tab);
    foreach event in array array['insert', 'update', 'delete', 'truncate'] loop
      execute format('drop trigger if exists punctual_source_%s on %s', event, tab);
    end loop;
  end if;
  perform from public.scheduled_messages m
     join punctual.source_rows r on r.message_id = m.id
    where r.source = src and m.status in ('pending', 'sending')
    order by m.id
      for no key update of m;
  select count(*) into n from punctual.source_rows r join public.scheduled_messages m on m.id = r.message_id
   where r.source = src and m.status = 'sending';
  if n = 0 then
    select count(*) into n from punctual.source_writes w join punctual.source_rows r on r.message_id = w.message_id
     -- What the table has refused will not be written.
     where r.source = src and w.attempts = 0;
  end if;
  if n > 0 then
    raise exception using errcode = 'PU001',
      message = format('%s messages of the source %s are being sent, or have an outcome that is not yet written to %I.%I; '
                       'nothing was changed: try again in a moment, while a daemon runs', n, src, it.schema_name, it.table_name);
  end if;
  delete from public.scheduled_messages m using punctual.source_rows r
   where r.source = src and m.id = r.message_id and m.status = 'pending';
  delete from punctual.source_writes w using punctual.source_rows r where r.source = src and r.message_id = w.message_id;
  delete from punctual.source_rows r where r.source = src;
  delete from punctual.sources s where s.name = src;
  perform set_config('punctual.writer', coalesce(writer, ''), true), set_config('punctual.from_source', '', true);
  execute format('drop function if exists punctual.%I(), punctual.%I(text[], uuid[]), punctual.%I(text, int), punctual.%I()',
                 'source__' || src, 'source__' || src || '_back', 'source__' || src || '_fill', 'source__' || src || '_left');
end
$$;

revoke execute on function punctual.follow(jsonb), punctual.unfollow(text), punctual.follow_numbers(text),
                           punctual.unfollow_numbers(text), punctual.refer(text, jsonb)
  from PUBLIC;

-- Of this source, as source_fill_text has them.
create or replace function punctual.source_fill(src text, past text, most int, out last_key text, out followed int)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('select * from punctual.%I($1, $2)', 'source__' || src || '_fill') into last_key, followed using past, most;
end
$$;

create or replace function punctual.source_left(src text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  found_some boolean;
begin
  execute format('select punctual.%I()', 'source__' || src || '_left') into found_some;
  return found_some;
end
$$;

revoke execute on function punctual.source_fill(text, text, int), punctual.source_left(text) from PUBLIC;
