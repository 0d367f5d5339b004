-- Whether a role exists.
-- $1 role
select exists (select from pg_roles where rolname = $1)
