-- Whoever may update the status of sent messages may update what has been added beside it: the daemon's role.
do $$
declare
  one record;
begin
  for one in
    select g.grantee::regrole as role, n.attname
      from pg_catalog.pg_class c
      join pg_catalog.pg_attribute s on s.attrelid = c.oid and s.attname = 'status' and not s.attisdropped
     cross join lateral pg_catalog.aclexplode(s.attacl) g
      join pg_catalog.pg_attribute n on n.attrelid = c.oid and not n.attisdropped
                                    and n.attname in ('delivered_at', 'twilio_status', 'twilio_error_code')
     where c.oid = to_regclass('public.messages') and pg_catalog.pg_has_role(c.relowner, 'usage')
       and g.privilege_type = 'UPDATE' and g.grantee <> 0
       and not pg_catalog.has_column_privilege(g.grantee, c.oid, n.attnum, 'UPDATE')
  loop
    execute format('grant update (%I) on public.messages to %s', one.attname, one.role);
  end loop;
end
$$;
