-- Whether the schema is of the numbering before the baseline, whose tables lack a column. From the
-- catalog, for a role that may not use it yet.
select exists (
  select from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join (values ('migrations', 'oldest_program'), ('attempts', 'recovered')) as b (tab, col) on b.tab = c.relname
   where n.nspname = 'punctual' and c.relkind = 'r'
     and not exists (select from pg_catalog.pg_attribute a
                      where a.attrelid = c.oid and a.attname = b.col and not a.attisdropped))
