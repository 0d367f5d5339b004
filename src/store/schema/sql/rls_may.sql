-- Whether users can be distinguished as in Supabase: by its function and its role.
select to_regprocedure('auth.uid()') is not null
       and exists (select from pg_catalog.pg_roles r where r.rolname = 'authenticated')
       and to_regclass('public.user_sms_preferences') is not null as may
