-- tab, stranger ─▶ held ─▶ judged ─▶ fault
--   └─────────▶ shown
-- Who else may write what decides a send, or read numbers and texts: one row per check, as in doctor_server.sql. By
-- grants and policies. A policy that names its caller (auth.uid() and the like) in each of its alternatives is taken to
-- admit nobody without a login, and to each user what is theirs; functions that it calls are not judged. Reads the
-- catalog only.
with tab as (
  select c.oid, c.relname, c.relnamespace, c.relowner, c.relrowsecurity, t.decides, t.is_private
    from (values ('scheduled_messages', true, true), ('user_sms_preferences', true, true),
                 ('sms_templates', true, false), ('task_calendar_events', true, true),
                 ('messages', false, true), ('conversations', false, true), ('contacts', false, true)) as t (name, decides, is_private)
    join pg_catalog.pg_class c on c.oid = to_regclass('public.' || t.name) and c.relkind in ('r', 'p')
), stranger (oid, name, sees_all) as (
  -- The pseudo role PUBLIC, which has the id 0, is every role, so also those.
  select 0::oid, 'PUBLIC', false union all
  select r.oid, r.rolname::text, r.rolsuper or r.rolbypassrls from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated')
), held as (
  -- Rights on the whole table or on some of its columns, those of roles that it is a member of included.
  select s.name as who, s.oid as role, s.sees_all, t.*, p.privilege
    from tab t
   cross join stranger s cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as p (privilege)
   where has_schema_privilege(s.oid, t.relnamespace, 'USAGE')
     and (has_table_privilege(s.oid, t.oid, p.privilege)
          or p.privilege <> 'DELETE' and has_any_column_privilege(s.oid, t.oid, p.privilege))
), judged as (
  select h.who, h.oid, h.privilege, y.polname, y.polpermissive,
         e.expression <> 'false'
           and case when h.who = 'authenticated'
                    then not names_caller or regexp_replace(e.expression, '\m(uid|jwt|role|email)\(\)(\s+as\s+\w+)?[\s)]+is\s+not\s+null', '', 'g')
                                             !~ '(uid|jwt|email)\(|current_(user|setting)|session_user'
                    else not names_caller or e.expression like '%''anon''%' end as admits_all
    from held h
    join pg_catalog.pg_policy y on y.polrelid = h.oid
     and y.polcmd in ('*', case h.privilege when 'SELECT' then 'r' when 'INSERT' then 'a' when 'UPDATE' then 'w' else 'd' end::"char")
     and exists (select from unnest(y.polroles) as member
                  where member = 0 or h.role <> 0 and pg_has_role(h.role, member, 'USAGE'))
   cross join lateral (select lower(coalesce(case when h.privilege = 'INSERT' then pg_get_expr(y.polwithcheck, y.polrelid) end,
                           pg_get_expr(y.polqual, y.polrelid), 'true')) as expression) x
   cross join lateral (
     select x.expression, x.expression ~ '\mauth\.|current_setting|current_user|session_user|current_role|\m(uid|jwt|role|email)\('
            -- No alternative without a call, and none for a caller who is not known.
            and not exists (select from regexp_split_to_table(x.expression, '\mor\M') as alternative
                             where alternative !~ '\w\(|current_(user|role)|session_user'
                                or alternative ~ '\m(uid|jwt|role|email)\(\)(\s+as\s+\w+)?[\s)]+is null|current_setting.*is null'
                                or regexp_replace(alternative, 'current_setting\([^)]*\)', '', 'g') ~ ',\s*true\)|is not false|is distinct from') as names_caller) e
), fault as (
  select who, relname, case when privilege = 'SELECT' then 'read' when who = 'authenticated' then 'send' else 'write' end as kind,
         format('%s may %s %s %s', case who when 'PUBLIC' then 'every role' else who end,
                string_agg(privilege, ', ' order by privilege), relname, how) as line,
         format('revoke %s on public.%s from %s', lower(string_agg(privilege, ', ' order by privilege)), relname, who) as cure
    from (select h.who, h.relname, h.oid, h.privilege, h.decides, h.is_private,
             case when not h.relrowsecurity then 'without row level security'
                  when h.sees_all then 'by a role that no policy binds' else (select format('by the policy %I', min(j.polname)) from judged j
                         where j.who = h.who and j.oid = h.oid and j.privilege = h.privilege and j.polpermissive and j.admits_all) end as how
        from held h
       where not h.relrowsecurity or h.sees_all
          or exists (select from judged j where j.who = h.who and j.oid = h.oid and j.privilege = h.privilege
                                            and j.polpermissive and j.admits_all)
             and not exists (select from judged j where j.who = h.who and j.oid = h.oid and j.privilege = h.privilege
                                                    and not j.polpermissive and not j.admits_all)) open
   where case when privilege = 'SELECT' then is_private and who <> 'authenticated' else who <> 'authenticated' or decides end
   group by who, relname, privilege = 'SELECT', how
), shown as (
  -- Views run with the rights of their owner, unless they say otherwise. What can be written through them is shown by
  -- pg_relation_is_updatable, in bits: UPDATE 4, INSERT 8, DELETE 16.
  select v.relname as view, tab.relname, s.name as who, tab.is_private and has_table_privilege(s.name, v.oid, 'SELECT') as is_read,
         case when tab.decides then
           (select string_agg(p.privilege, ', ')
              from (values ('DELETE', 16), ('INSERT', 8), ('UPDATE', 4)) as p (privilege, bit)
             where has_table_privilege(s.name, v.oid, p.privilege)
               and pg_relation_is_updatable(v.oid, true) & p.bit <> 0) end as written
    from tab
    join pg_catalog.pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = tab.oid and d.classid = 'pg_rewrite'::regclass
    join pg_catalog.pg_rewrite w on w.oid = d.objid
    join pg_catalog.pg_class v on v.oid = w.ev_class and v.relkind in ('v', 'm')
    join stranger s on s.name = 'anon'
   where has_schema_privilege(s.name, v.relnamespace, 'USAGE') and not coalesce(lower(v.reloptions::text) ~ 'security_invoker=(1|t|true|y|yes|on)', false)
)
select 'who may write' as what, 'bad' as level,
       nullif(concat_ws('; ', (select string_agg(line, '; ' order by line) from fault where kind = 'write'),
                        (select string_agg(distinct format('%s may %s %s through the view %s', who, written, relname, view), '; ')
                           from shown where written is not null)), '') as found,
       'nobody without a login, by grants and policies (functions that run with their owner''s rights are not judged)' as fine,
       'anyone with the app''s anon key can send texts at your cost: '
         || concat_ws('; ', (select string_agg(cure, '; ' order by cure) from fault where kind = 'write'),
         (select string_agg(distinct format('alter view %s set (security_invoker = true)', view), '; ') from shown where written is not null),
         'enable row level security, with policies for your users') as remedy
union all
select 'who may read', 'bad',
       nullif(concat_ws('; ', (select string_agg(line, '; ' order by line) from fault where kind = 'read'),
         (select string_agg(distinct format('the view %s shows %s to %s', view, relname, who), '; ') from shown where is_read)), ''),
       'nobody without a login, by grants and policies',
       'anyone with the app''s anon key can read numbers and texts: '
         || concat_ws('; ', (select string_agg(cure, '; ' order by cure) from fault where kind = 'read'),
         (select string_agg(distinct format('alter view %s set (security_invoker = true)', view), '; ') from shown where is_read))
union all
select 'who may send', 'warn', (select string_agg(line, '; ' order by line) from fault where kind = 'send'),
       'each user what is theirs, by grants and policies',
       'every user with a login can write rows of all others: let the policy compare the row''s user with auth.uid()'
