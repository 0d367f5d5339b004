-- Everything that a schema is made of, as lines that do not depend on the order of its making.
select format('column %s.%s %s%s%s%s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod),
              case when a.attnotnull then ' not null' else '' end,
              coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), ''), nullif(' identity ' || a.attidentity::text, ' identity '))
  from pg_attribute a
  join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'v', 'c')
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where c.relnamespace in ('public'::regnamespace, 'punctual'::regnamespace) and a.attnum > 0 and not a.attisdropped
union all
select format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  from pg_constraint where connamespace in ('public'::regnamespace, 'punctual'::regnamespace)
   -- Since PostgreSQL 18 "not null" is one too. Columns show it; its name does not follow theirs.
   and contype <> 'n'
union all
select 'index ' || pg_get_indexdef(i.indexrelid)
  from pg_index i join pg_class c on c.oid = i.indexrelid
 where c.relnamespace in ('public'::regnamespace, 'punctual'::regnamespace)
union all
select 'sequence ' || oid::regclass from pg_class
 where relkind = 'S' and relnamespace in ('public'::regnamespace, 'punctual'::regnamespace)
union all
select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
union all
select concat_ws(' ', 'function', pg_get_functiondef(oid), proacl::text, obj_description(oid, 'pg_proc'))
  from pg_proc where pronamespace in ('public'::regnamespace, 'punctual'::regnamespace)
union all
select format('view %s %s', oid::regclass, pg_get_viewdef(oid)) from pg_class
 where relkind = 'v' and relnamespace in ('public'::regnamespace, 'punctual'::regnamespace)
union all
select format('schema %s %s', nspname, nspacl) from pg_namespace where nspname = 'punctual'
union all
select format('row level security %s %s', oid::regclass, relrowsecurity) from pg_class
 where relkind = 'r' and relnamespace in ('public'::regnamespace, 'punctual'::regnamespace)
union all
select format('record %s %s %s', version, name, checksum) from punctual.migrations
union all
select format('record %s %s', name, checksum) from punctual.triggers
order by 1
