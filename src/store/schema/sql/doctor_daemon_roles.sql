-- The roles of daemons, other than this session's.
select d.rolname::text as rolname from daemon_roles!() d where d.rolname <> current_user order by d.rolname
