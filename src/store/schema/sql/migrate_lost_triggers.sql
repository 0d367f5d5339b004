-- Which of the triggers that should exist are missing.
-- $1, $2 their names and tables; $3 for each whether it is needed only if the table exists and is this role's, and has
-- the column that it is for
select e.name
  from unnest($1::text[], $2::text[], $3::bool[]) as e (name, tab, optional)
  -- Not to_regclass: that is an error without the right to use the schema, which a daemon's role need not have.
  left join pg_catalog.pg_namespace n on n.nspname = (parse_ident(e.tab))[1]
  left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = (parse_ident(e.tab))[2]
 where not exists (select from pg_catalog.pg_trigger t
                    where t.tgrelid = c.oid and t.tgname = e.name and not t.tgisinternal)
   and not (e.optional
            and (c.oid is null or c.relkind not in ('r', 'p') or not pg_catalog.pg_has_role(c.relowner, 'usage')
                 or is_without_column!(c)))
