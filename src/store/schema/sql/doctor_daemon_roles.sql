-- The roles of daemons, and whether it is this session's, whose rights are checked with the schema.
select d.rolname::text as rolname, d.rolname = current_user as is_own from daemon_roles!() d order by d.rolname
