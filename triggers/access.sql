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

-- Whether a function of this name may be made in the schema of the app's tables: those that are there are Punctual's.
create or replace function punctual.may_offer(named text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(bool_and(coalesce(obj_description(p.oid, 'pg_proc'), '') = 'made by Punctual'
                           and pg_catalog.pg_has_role(p.proowner, 'usage')), true)
    from pg_catalog.pg_proc p
   where p.pronamespace = to_regnamespace(quote_ident('public')) and p.proname = named
$$;

-- Marks a function as Punctual's. On Supabase every new one may be called by everybody: this one by the app's server
-- alone, or also by users who are logged in.
create or replace procedure punctual.offer(made regprocedure, to_users boolean)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  grantee name;
begin
  execute format('comment on function %s is ''made by Punctual''', made);
  execute format('revoke execute on function %s from PUBLIC', made);
  for grantee in
    select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated', 'service_role')
  loop
    if grantee = 'service_role' or grantee = 'authenticated' and to_users then
      execute format('grant execute on function %s to %I', made, grantee);
    else
      execute format('revoke execute on function %s from %I', made, grantee);
    end if;
  end loop;
end
$$;

revoke execute on procedure punctual.offer(regprocedure, boolean) from PUBLIC;
