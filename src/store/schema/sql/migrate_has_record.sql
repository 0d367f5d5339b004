-- From the catalog: to_regclass would need a right on the schema.
select count(*) = 2
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'punctual' and c.relname in ('migrations', 'triggers') and c.relkind = 'r'
