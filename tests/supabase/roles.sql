-- The server's roles of a Supabase project; its owner is no superuser.
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit password 'live';
grant anon, authenticated, service_role to authenticator;
create role dashboard login nosuperuser createrole password 'live';
create role punctual_daemon login password 'live';
