-- What anon may call that runs with its owner's rights and names the app's tables: one row, as in doctor_server.sql.
-- Reads the catalog only.
select 'definer functions' as what, 'warn' as level,
       (select string_agg(function, ', ' order by function) || ' runs with its owner''s rights, names these tables and may be called by anon'
          from (select distinct p.oid::regprocedure::text as function
              from pg_catalog.pg_proc p
              join pg_catalog.pg_namespace n on n.oid = p.pronamespace
              join pg_catalog.pg_roles s on s.rolname = 'anon'
             where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema', 'punctual') and p.prorettype <> 'trigger'::regtype
               and has_schema_privilege(s.oid, n.oid, 'USAGE') and has_function_privilege(s.oid, p.oid, 'EXECUTE')
               and plain_source!(p) ~ ('\m(scheduled_messages|user_sms_preferences|sms_templates|task_calendar_events)\M'
                                       || '|\m(from|join|into|update)\s+(only\s+)?("?' || lower(regexp_replace('public', '\W', '.', 'g'))
                                       || '"?\.)?"?(messages|conversations|contacts)\M')) definer) as found,
       'none that anon may call' as fine,
       'what it does is not judged: read it, or revoke execute on it from anon, PUBLIC' as remedy
