-- who, tables ─▶ beyond ─▶ revoked
-- What a role has been granted on the daemon's tables that a daemon's statements do not need, and for each table the
-- statement that revokes it. What it may do as owner, superuser or member of another role is not in it.
-- $1 the role; null: the session's own
with who as (
  select r.oid, r.rolname from pg_roles r where r.rolname = coalesce($1::text, current_user) and not r.rolsuper
), tables as materialized (
  select * from daemon_rights!() r
), beyond as (
  select t.oid, x.privilege_type as privilege, x.privilege_type = 'UPDATE' as is_whole
    from who, tables t, aclexplode(t.relacl) x
   where x.grantee = who.oid and t.relowner <> who.oid and x.privilege_type <> all (t.privileges)
  union all
  select t.oid, format('UPDATE (%I)', a.attname), false
    from who, tables t
    join pg_attribute a on a.attrelid = t.oid and not a.attisdropped
   cross join aclexplode(a.attacl) x
   where x.grantee = who.oid and t.relowner <> who.oid and x.privilege_type = 'UPDATE'
     and a.attname <> all (t.updates)
), revoked as (
  select b.oid, string_agg(b.privilege, ', ' order by b.privilege) as privileges, bool_or(b.is_whole) as is_whole
    from beyond b group by b.oid
)
select format('%s on %s', r.privileges, t.name) as need,
       format('revoke %s on %s from %I', r.privileges, t.name, who.rolname)
       -- Revoking the right to update a table revokes those to update its columns.
       || case when r.is_whole and t.updates <> '{}'
            then format('; grant UPDATE (%s) on %s to %I',
                        (select string_agg(quote_ident(u), ', ' order by u) from unnest(t.updates) u), t.name,
                        who.rolname) else '' end as meet
  from who, revoked r
  join tables t on t.oid = r.oid
 order by t.name
