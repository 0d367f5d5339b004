-- Rights that follow from others.

-- Grants `also` to each role that may call `given`: for a function that another one has needed since a later version
-- than that which granted it. `punctual migrate --role` grants a new role both.
create or replace procedure punctual.grant_with(given regprocedure, also regprocedure)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  grantee name;
begin
  for grantee in
    select distinct r.rolname
      from pg_catalog.pg_proc p
     cross join pg_catalog.aclexplode(p.proacl) a
      join pg_catalog.pg_roles r on r.oid = a.grantee
     where p.oid = given and r.oid <> p.proowner and a.privilege_type = 'EXECUTE'
  loop
    execute format('grant execute on function %s to %I', also, grantee);
  end loop;
end
$$;

revoke execute on procedure punctual.grant_with(regprocedure, regprocedure) from PUBLIC;
