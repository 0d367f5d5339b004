-- Whether the Supabase CLI keeps a record here that this role may read. From the catalog: a role without a
-- right on the schema gets an error for using the name.
select coalesce(bool_or(has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT')), false)
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where n.nspname = 'supabase_migrations' and c.relname = 'schema_migrations' and c.relkind = 'r'
