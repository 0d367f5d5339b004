-- Records of source tables: other tables of the app's, each with a row for a row of a source, to which outcomes are
-- written too: the record of what was sent, the job that was to send it. Re-runnable; replaced as a whole.
--
-- A row of such a table says whose it is in a column of JSON (`names`), or the row of the source names it (`named_by`),
-- or it names an earlier record of that row (`names_record`). It is no message of its own, although its table may be a
-- source too (`unless_record_of`): one text, one row.

-- The records of a source, numbered, with their tables.
create or replace function punctual.source_records(described jsonb)
returns table (n int, tab regclass, record jsonb)
language sql stable rows 2 set search_path = pg_catalog, pg_temp as $$
  select r.n::int, to_regclass(format('%I.%I', coalesce(r.record ->> 'schema', 'public'), r.record ->> 'table')), r.record
    from jsonb_array_elements(coalesce(described -> 'record', '[]')) with ordinality as r (record, n)
$$;

-- Which rows of a source, with this alias, are its own: those that are not the record of another source's row.
create or replace function punctual.source_filter_text(described jsonb, alias text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(string_agg(
           case when r.record ? 'names'
                then format('(%1$s.%2$I ->> %3$L) is null', alias, r.record -> 'names' ->> 'column', r.record -> 'names' ->> 'field')
                else 'true' end
           || case when r.record ? 'named_by'
                   then format(' and not exists (select from %1$I.%2$I named where named.%3$I = %4$s.%5$I)', s.schema_name,
                               s.table_name, r.record ->> 'named_by', alias, r.record ->> 'key')
                   else '' end, ' and '), 'true')
    from punctual.sources s
   cross join lateral punctual.source_records(s.definition) r
   where s.name = described ->> 'unless_record_of'
     and r.tab = to_regclass(format('%I.%I', coalesce(described ->> 'schema', 'public'), described ->> 'table'))
$$;

-- The condition for the rows of a record, with this alias, that are meant, after others. '': all of them.
create or replace function punctual.record_only_text(record jsonb, alias text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when record ? 'only'
              then format(' and %s.%I::text = %L', alias, record -> 'only' ->> 'column', record -> 'only' ->> 'value')
              else '' end
$$;

-- The part of a source's trigger function that notes which rows name another record than before. '': none can.
create or replace function punctual.source_links_text(src text, described jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(string_agg(format($template$
  if tg_op = 'INSERT' then
    -- Few name one when they are inserted.
    if exists (select from new_rows n where n.%4$I is not null) then
      perform punctual.source_linked(%1$L, %2$s, array_agg(n.%3$I::text), array_agg(n.%4$I::text))
         from new_rows n where n.%4$I is not null;
    end if;
  elsif tg_op = 'UPDATE' then
    perform punctual.source_linked(%1$L, %2$s, array_agg(n.%3$I::text), array_agg(n.%4$I::text))
       from new_rows n left join old_rows o on o.%3$I = n.%3$I
      where n.%4$I is not null and n.%4$I is distinct from o.%4$I;
  end if;$template$, src, r.n, described -> 'columns' ->> 'key', r.record ->> 'named_by'), ''), '')
    from punctual.source_records(described) r where r.record ? 'named_by'
$$;

-- The part of the function that writes outcomes which writes them to the records, with what of the message `m` each
-- column gets. Locked ones are left for later, and words that the app alone knows are left as they are. By then `keys`
-- and `messages` are those that were written; `others`: their earlier records, and of which messages these are.
create or replace function punctual.source_records_text(source_tab regclass, described jsonb) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  made text := '';
  r record;
begin
  for r in
    select x.tab, x.record, x.record ->> 'key' as key, punctual.source_type(x.tab, x.record ->> 'key') as key_type,
           x.record -> 'columns' ->> 'status' as status, punctual.source_type(x.tab, x.record -> 'columns' ->> 'status') as status_type,
           punctual.source_type(source_tab, described -> 'columns' ->> 'key') as source_type, w.sets, w.are, w.become
      from punctual.source_records(described) x
     cross join lateral (
       select coalesce(string_agg(format(', %I = %s', x.record -> 'columns' ->> w.name, w.value), ''), '') as sets,
              coalesce(string_agg(format(', t.%I', x.record -> 'columns' ->> w.name), ''), '') as are,
              coalesce(string_agg(', ' || w.value, ''), '') as become
         from punctual.source_written() w where x.record -> 'columns' ? w.name) w
     order by x.n
  loop
    made := made || format($template$  declare
    named %1$s[];
    named_of uuid[];
    free %1$s[];
  begin
    select coalesce(array_agg(f.key), '{}'), coalesce(array_agg(f.message), '{}') into named, named_of
      from (select distinct on (n.key) n.key, n.message
              from (select null::%1$s as key, null::uuid as message where false%2$s%3$s%13$s) n
             cross join lateral (select from %4$s t where t.%5$I = n.key%6$s offset 0) t
             order by n.key) f;
    if named <> '{}' then
      others := others || named::text[];
      others_of := others_of || named_of;
      free := array(select t.%5$I from %4$s t where t.%5$I = any (named) order by t.%5$I for no key update skip locked);
      late := late || array(
        select u.key from unnest(keys, messages) as u (key, message)
         where u.message in (select n.message from unnest(named, named_of) as n (key, message) where n.key <> all (free)));
      update %4$s t
         set %7$I = m.becomes::%9$s%10$s
        from (select n.key, x.status, x.sent_at, x.delivered_at, x.cancelled_at, x.twilio_sid, x.error_message, x.cancel_reason,
                     x.error_code, x.attempts, punctual.record_word(%8$L, x.status, o.word) as becomes
                from unnest(named, named_of) as n (key, message)
               cross join lateral (select y.* from public.scheduled_messages y where y.id = n.message offset 0) x
               cross join lateral (select y.%7$I::text as word from %4$s y where y.%5$I = n.key offset 0) o
               where n.key = any (free) offset 0) m
       where t.%5$I = any (array[m.key]) and m.becomes is not null
         and (t.%7$I::text%11$s) is distinct from (m.becomes%12$s);
    end if;
  end;
$template$, r.key_type,
      case when r.record ? 'names'
           then format($names$
                    union all
                    select x.key, u.message from unnest(keys, messages) as u (key, message)
                     cross join lateral (select t.%I as key from %s t where (t.%I ->> %L) = u.key offset 0) x$names$, r.key, r.tab,
                       r.record -> 'names' ->> 'column', r.record -> 'names' ->> 'field')
           else '' end,
      case when r.record ? 'named_by'
           then format($named$
                    union all
                    select x.key, u.message from unnest(keys, messages) as u (key, message)
                     cross join lateral (
                       select s.%1$I as key from %2$s s where s.%3$I = u.key::%4$s and s.%1$I is not null offset 0) x$named$,
                       r.record ->> 'named_by', source_tab, described -> 'columns' ->> 'key', r.source_type)
           else '' end,
      r.tab, r.key, punctual.record_only_text(r.record, 't'),
      r.status, r.record -> 'words', r.status_type, r.sets, r.are, r.become,
      case when r.record ? 'names_record'
           then format($names$
                    union all
                    select x.key, u.message from unnest(others, others_of) as u (key, message)
                     cross join lateral (select t.%I as key from %s t where (t.%I ->> %L) = u.key offset 0) x$names$, r.key, r.tab,
                       r.record -> 'names_record' ->> 'column', r.record -> 'names_record' ->> 'field')
           else '' end);
  end loop;
  return made;
end
$$;

-- The word that a record is to have. Null: it is left as it is.
create or replace function punctual.record_word(words jsonb, its_status text, word text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when its_status = 'sending' then null
              when not ((words -> 'pending') ? word
                        or coalesce(words -> 'replaced' ? word, false)
                        or word in (select w.value from jsonb_each_text(words - 'pending' - 'claimed' - 'replaced') w)) then null
              when its_status <> 'pending' then words ->> its_status
              when (words -> 'pending') ? word then word
              else words -> 'pending' ->> 0 end
$$;

-- Records that were inserted for rows with these keys: what has become of their messages is written to them. What is
-- due soon may have an outcome before the app's transaction is seen by whoever writes it.
create or replace function punctual.source_recorded(src text, keys text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
begin
  insert into punctual.source_writes (message_id)
  select r.message_id
    from unnest(keys) as k (key)
   cross join lateral (select o.message_id, o.taken from punctual.source_rows o
                        where o.source = src and o.key = k.key offset 0) r
   cross join lateral (select o.status, o.scheduled_at from public.scheduled_messages o where o.id = r.message_id offset 0) m
   where not r.taken and (m.status <> 'pending' or m.scheduled_at < clock_timestamp() + interval '1 hour');
end
$$;

-- Rows with these keys name these records from now on. A record is no message of its own: the one that it had is
-- deleted, if that is still to be sent.
create or replace function punctual.source_linked(src text, nth int, keys text[], links text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp
set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  own record;
  ids uuid[];
  gone punctual.source_change[];
  late record;
begin
  if keys is null then
    return;
  end if;
  perform punctual.source_recorded(src, keys);
  for own in
    select o.name, o.table_name, r.tab, r.record ->> 'key' as key, o.definition -> 'columns' ->> 'status' as status
      from punctual.sources o
      join punctual.sources s on s.name = src
      join punctual.source_records(s.definition) r on r.n = nth
     where o.definition ->> 'unless_record_of' = src and r.tab = to_regclass(format('%I.%I', o.schema_name, o.table_name))
  loop
    -- Whoever is making one of them a message of its own commits first, and that message is found then; or waits, and
    -- finds that it is a record.
    execute format('select from %s t where t.%I = any ($1::%s[]) order by t.%2$I for no key update', own.tab, own.key,
                   punctual.source_type(own.tab, own.key))
      using links;
    -- A lock alone is not seen by a transaction in repeatable read that began before, once it has ended. What is
    -- written is: such a transaction fails with 40001 when it makes the record a message.
    execute format('update %s t set %I = t.%2$I where t.%I = any ($1::%s[])
                     and not exists (select from punctual.source_rows r where r.source = $2 and r.key = t.%3$I::text)',
                   own.tab, own.status, own.key, punctual.source_type(own.tab, own.key))
      using links, own.name;
    select array_agg(r.message_id),
           array_agg(row(jsonb_populate_record(null::punctual.source_row, jsonb_build_object('key', r.key)), null)::punctual.source_change)
      into ids, gone
      from unnest(links) as l (key)
     cross join lateral (select o.key, o.message_id from punctual.source_rows o
                          where o.source = own.name and o.key = l.key offset 0) r;
    continue when ids is null;
    perform from public.scheduled_messages m where m.id = any (ids) order by m.id for no key update;
    select m.id, m.status into late from public.scheduled_messages m
     where m.id = any (ids) and (m.status not in ('pending', 'failed', 'cancelled') or m.parts_done > 0) limit 1;
    if found then
      raise exception using errcode = 'PT409',
        message = format('a row of %s is to be the record of another one, and its own message is %s', own.table_name, late.status),
        hint = 'Nothing was changed. See: punctual why ' || late.id;
    end if;
    perform punctual.source_changed(own.name, gone);
  end loop;
exception when others then
  if left(sqlstate, 2) in ('PT', '40') then
    raise;
  end if;
  raise exception using errcode = 'PT409',
    message = format('a change of the source %s could not be applied to its records: SQLSTATE %s', src, sqlstate),
    hint = 'Nothing was changed; try again in a moment.';
end
$$;

-- A text as the key of a table with keys of this type. Null: it can be none.
create or replace function punctual.source_key(word text, type text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when case type when 'uuid' then word ~* '^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$'
                             when 'smallint' then word ~ '^[0-9]{1,4}$' when 'integer' then word ~ '^[0-9]{1,9}$'
                             when 'bigint' then word ~ '^[0-9]{1,18}$' else true end then word end
$$;

-- The keys of rows of a source whose earlier records a new row, with the alias n, names: as an array.
create or replace function punctual.source_through_text(src text, nth int) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (select coalesce(string_agg(format('array(%s)', q.sql), ' || '), $q$'{}'::text[]$q$)
    from punctual.sources s
   cross join lateral punctual.source_records(s.definition) it
   cross join lateral punctual.source_records(s.definition) e
   cross join lateral (
     select format('punctual.source_key(n.%I ->> %L, %L)::%s', it.record -> 'names_record' ->> 'column',
                   it.record -> 'names_record' ->> 'field', t.type, t.type) as named
       from (select punctual.source_type(e.tab, e.record ->> 'key') as type) t) k
   cross join lateral (
     select format('select t.%I ->> %L from new_rows n join %s t on t.%I = %s where (t.%1$I ->> %2$L) is not null%6$s',
                   e.record -> 'names' ->> 'column', e.record -> 'names' ->> 'field', e.tab, e.record ->> 'key', k.named,
                   punctual.record_only_text(it.record, 'n')) as sql
      where e.record ? 'names'
     union all
     select format('select t.%I::text from new_rows n join %I.%I t on t.%I = %s where true%s', s.definition -> 'columns' ->> 'key',
                   s.schema_name, s.table_name, e.record ->> 'named_by', k.named, punctual.record_only_text(it.record, 'n'))
      where e.record ? 'named_by') q
   where s.name = src and it.n = nth and it.record ? 'names_record' and e.n < nth);
end
$$;

-- Has the inserts of records noticed: one of a source, by its number. Apart from `follow`: no transaction locks two
-- tables of the app.
create or replace function punctual.follow_record(src text, nth int) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  select r.tab, r.record into it
    from punctual.sources s cross join lateral punctual.source_records(s.definition) r where s.name = src and r.n = nth;
  if not found or not it.record ?| '{names,names_record}' then
    return;
  end if;
  execute format($template$
create or replace function punctual.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off as $made$
begin
  perform punctual.source_recorded(%2$L, %3$s || %4$s);
  return null;
exception when others then
  if left(sqlstate, 2) in ('PT', '40') then
    raise;
  end if;
  raise exception using errcode = 'PT409', message = format('the record of a row of %2$s could not be noted: SQLSTATE %%s', sqlstate),
    hint = 'Nothing was changed; try again in a moment.';
end
$made$;
revoke execute on function punctual.%1$I() from PUBLIC$template$,
    format('source__%s_record_%s', src, nth), src,
    case when it.record ? 'names'
         then format('array(select n.%1$I ->> %2$L from new_rows n where (n.%1$I ->> %2$L) is not null%3$s)',
                     it.record -> 'names' ->> 'column', it.record -> 'names' ->> 'field', punctual.record_only_text(it.record, 'n'))
         else $q$'{}'::text[]$q$ end,
    punctual.source_through_text(src, nth));
  if not exists (select from pg_catalog.pg_trigger t where t.tgrelid = it.tab and t.tgenabled = 'O'
                    and t.tgname = format('punctual_record_%s_%s', src, nth)) then
    execute format('%s %I after insert on %s referencing new table as new_rows for each statement execute function punctual.%I()',
                   'create or replace trigger', format('punctual_record_%s_%s', src, nth), it.tab, format('source__%s_record_%s', src, nth));
  end if;
end
$$;

-- The indexes by which the records of sources are found, those that are missing or were left invalid, with the
-- statements for them.
create or replace function punctual.record_indexes() returns table (name text, is_left boolean, build text, removal text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select w.name, i.indexrelid is not null, format('create index concurrently %I on %s %s', w.name, w.tab, w.what),
         format('drop index concurrently if exists %I.%I', ns.nspname, w.name)
    from punctual.sources s
   cross join lateral punctual.source_records(s.definition) r
   cross join lateral (
     select format('punctual_source_%s_%s_names', s.name, r.n) as name, r.tab as tab,
            format('((%1$I ->> %2$L)) where (%1$I ->> %2$L) is not null', r.record -> 'names' ->> 'column',
                   r.record -> 'names' ->> 'field') as what
      where r.record ? 'names'
     union all
     -- One that another source has will do.
     select format('punctual_source_%s_%s_through', s.name, r.n), r.tab,
            format('((%1$I ->> %2$L)) where (%1$I ->> %2$L) is not null', r.record -> 'names_record' ->> 'column',
                   r.record -> 'names_record' ->> 'field')
      where r.record ? 'names_record'
        and not exists (select from punctual.sources o cross join lateral punctual.source_records(o.definition) x
                         where x.tab = r.tab and x.record -> 'names' = r.record -> 'names_record')
     union all
     select format('punctual_source_%s_%s_by', s.name, r.n), to_regclass(format('%I.%I', s.schema_name, s.table_name)),
            format('(%1$I) where %1$I is not null', r.record ->> 'named_by')
      where r.record ? 'named_by') w
    join pg_catalog.pg_class c on c.oid = w.tab
    join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
    left join pg_catalog.pg_index i on i.indexrelid = to_regclass(format('%I.%I', ns.nspname, w.name))
   where i.indisvalid is not true
   order by 1
$$;

-- Ends that the records of a source are noticed. After `unfollow`.
create or replace function punctual.unfollow_records(src text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  for it in select p.oid::regprocedure as made from pg_catalog.pg_proc p
             where p.pronamespace = 'punctual'::regnamespace and p.proname ~ format('^source__%s_record_[0-9]+$', src)
  loop
    -- With its triggers.
    execute format('drop function %s cascade', it.made);
  end loop;
  for it in select c.oid::regclass as made from pg_catalog.pg_class c
             where c.relkind = 'i' and c.relname ~ format('^punctual_source_%s_[0-9]+_(names|by|through)$', src)
               and pg_catalog.pg_has_role(c.relowner, 'usage')
  loop
    execute format('drop index %s', it.made);
  end loop;
end
$$;

-- What prevents that outcomes are written to the records of a source.
create or replace function punctual.record_faults(source_tab regclass, described jsonb) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  wrong text[] := '{}';
  r record;
  col record;
begin
  for r in select x.tab, x.record, x.record ->> 'table' as title from punctual.source_records(described) x loop
    if r.tab is null then
      wrong := wrong || format('there is no table %s (record.table)', r.title);
      continue;
    end if;
    -- Its triggers run with the rights of this role when outcomes are written: never with more than its owner has.
    if not (select c.relkind = 'r' and (o.oid = me.oid or o.rolsuper or pg_catalog.pg_has_role(o.oid, 'usage') and not me.rolsuper)
              from pg_catalog.pg_class c, pg_catalog.pg_roles o, pg_catalog.pg_roles me
             where c.oid = r.tab and o.oid = c.relowner and me.rolname = current_user) then
      wrong := wrong || format('the table %s must be a plain table of this role''s (record.table)', r.tab);
    end if;
    if not exists (select from pg_catalog.pg_index i
                     join pg_catalog.pg_attribute a on a.attrelid = r.tab and a.attname = r.record ->> 'key'
                    where i.indrelid = r.tab and i.indisunique and i.indisvalid and i.indpred is null
                      and i.indnkeyatts = 1 and i.indkey[0] = a.attnum) then
      wrong := wrong || format('column %s of %s must be its primary key, or unique (record.key)', r.record ->> 'key', r.tab);
    end if;
    if r.record ? 'names'
       and coalesce(punctual.source_type(r.tab, r.record -> 'names' ->> 'column'), '') not in ('json', 'jsonb') then
      wrong := wrong || format('column %s of %s must be jsonb (record.names.column)', r.record -> 'names' ->> 'column', r.tab);
    end if;
    if r.record ? 'names_record'
       and coalesce(punctual.source_type(r.tab, r.record -> 'names_record' ->> 'column'), '') not in ('json', 'jsonb') then
      wrong := wrong || format('column %s of %s must be jsonb (record.names_record.column)', r.record -> 'names_record' ->> 'column', r.tab);
    end if;
    if r.record ? 'named_by'
       and punctual.source_type(source_tab, r.record ->> 'named_by') is distinct from punctual.source_type(r.tab, r.record ->> 'key') then
      wrong := wrong || format('column %s must be there, and of the type of %s of %s (record.named_by)', r.record ->> 'named_by',
                               r.record ->> 'key', r.tab);
    end if;
    if r.record ? 'only' and punctual.source_type(r.tab, r.record -> 'only' ->> 'column') is null then
      wrong := wrong || format('the table %s has no column %s (record.only.column)', r.tab, r.record -> 'only' ->> 'column');
    end if;
    for col in
      select w.name, w.type, a.attname, ty.typname, ty.typcategory, r.record -> 'columns' ->> w.name as col
        from (values ('status', 'text') union all select w.name, w.type from punctual.source_written() w) w (name, type)
        left join pg_catalog.pg_attribute a on a.attrelid = r.tab and a.attname = r.record -> 'columns' ->> w.name
                                           and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        left join pg_catalog.pg_type ty on ty.oid = a.atttypid
       where r.record -> 'columns' ? w.name
    loop
      if col.attname is null then
        wrong := wrong || format('the table %s has no column %s that can be written (record.columns.%s)', r.tab, col.col, col.name);
      elsif not (case when col.name = 'status' then col.typcategory in ('S', 'E') when col.type = 'text' then col.typcategory = 'S'
                      when col.type = 'int' then col.typname in ('int2', 'int4', 'int8') else col.typname = col.type end) then
        wrong := wrong || format('column %s of %s must be %s (record.columns.%s)', col.col, r.tab, col.type, col.name);
      elsif col.name = 'status' then
        wrong := wrong || array(
          select format('%s: %s', r.tab, l.lack)
            from (select w.value as word from jsonb_each_text((r.record -> 'words') - 'pending' - 'claimed' - 'replaced') w
                  union select r.record -> 'words' -> 'pending' ->> 0) v
           cross join lateral punctual.source_lacks(r.tab, col.col, v.word) as l (lack) order by v.word);
      end if;
    end loop;
  end loop;
  if described ? 'unless_record_of'
     and not exists (select from punctual.sources s cross join lateral punctual.source_records(s.definition) x
                      where s.name = described ->> 'unless_record_of' and x.tab = source_tab) then
    wrong := wrong || format('the source %s is not followed, or has no record in this table (unless_record_of)',
                             described ->> 'unless_record_of');
  end if;
  return wrong;
end
$$;

-- The messages that an id of the app's stands for: those that follow a row with this key, also if it is a record of
-- such a row, and those of the deliveries of an event. Without a message: a row that has none, with why, if it says so.
create or replace function punctual.messages_of(known uuid)
returns table (message_id uuid, tab text, key text, word text, reason text)
language plpgsql stable security definer set search_path = pg_catalog, 'public', pg_temp
set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
  keys text[] := array[known::text];
begin
  if to_regclass('public.queue_jobs') is not null then
    -- A job that is a record names its row.
    keys := keys || array(
      select n.named
        from public.queue_jobs j
       cross join lateral (values (j.metadata ->> 'message_id'), (j.metadata ->> 'delivery_id')) n (named)
       where j.id = known and n.named is not null);
  end if;
  if to_regclass('public.notification_deliveries') is not null then
    keys := keys || array(select d.id::text from public.notification_deliveries d where d.event_id = known order by d.channel limit 1000);
  end if;
  return query
    select r.message_id, s.table_name, r.key, null::text, null::text
      from unnest(keys) as k (key)
     cross join punctual.sources s
     cross join lateral (select o.message_id, o.key from punctual.source_rows o
                          where o.source = s.name and o.key = k.key offset 0) r;
  if to_regclass('public.notification_deliveries') is not null then
    return query
      select null::uuid, 'notification_deliveries', d.id::text, d.status, to_jsonb(d) ->> 'cancel_reason'
        from public.notification_deliveries d
       where d.id = any (array(select k.key::uuid from unnest(keys) as k (key)
                                where punctual.source_key(k.key, 'uuid') is not null))
         and not exists (select from punctual.source_rows r where r.source = 'buildos_deliveries' and r.key = d.id::text);
  end if;
-- Tables of the app's with these names and other columns.
exception when undefined_column or undefined_function or datatype_mismatch then
  return;
end
$$;

revoke execute on function punctual.messages_of(uuid) from PUBLIC;

-- What a role that may read facts needs beside it, if an earlier version granted it that.
call punctual.grant_with('punctual.facts_of(uuid[], uuid[], uuid[], text[])', 'punctual.messages_of(uuid)');

revoke execute on function punctual.source_through_text(text, int) from PUBLIC;
revoke execute on function punctual.source_recorded(text, text[]), punctual.source_linked(text, int, text[], text[]),
                           punctual.follow_record(text, int), punctual.unfollow_records(text)
  from PUBLIC;
