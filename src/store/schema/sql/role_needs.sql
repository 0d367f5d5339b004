-- who, tables ─▶ schemas, grants, functions, policies
-- What a role lacks to be a daemon's: each need, and the statement that grants it.
-- $1 the role; null: the session's own
with who as (
  select r.oid, r.rolname, r.rolsuper or r.rolbypassrls as sees_all
    from pg_roles r
   where r.rolname = coalesce($1::text, current_user)
), tables as materialized (
  select * from daemon_rights!() r
), schemas as (
  select 1 as step, format('USAGE on schema %I', n.nspname) as need,
         format('grant usage on schema %I to %I', n.nspname, who.rolname) as meet
    from who, pg_namespace n
   where n.nspname in ('public', 'punctual') and not has_schema_privilege(who.oid, n.oid, 'USAGE')
), grants as (
  select 2 as step, format('%s on %s', string_agg(l.privilege, ', ' order by l.privilege), l.name) as need,
         format('grant %s on %s to %I', string_agg(l.privilege, ', ' order by l.privilege), l.name, who.rolname) as meet
    from who, (
      select t.name, p as privilege from who, tables t, unnest(t.privileges) as p
       where not has_table_privilege(who.oid, t.oid, p)
      union all
      select t.name, format('UPDATE (%s)', string_agg(quote_ident(u), ', ' order by u))
        from who, tables t, unnest(t.updates) as u
       where not has_column_privilege(who.oid, t.oid, u, 'UPDATE')
       group by t.name) l
   group by l.name, who.rolname
), functions as (
  -- Those that run with their owner's rights and that the daemon calls.
  select 2 as step, format('EXECUTE on function %s', p.oid::regprocedure) as need,
         format('grant execute on function %s to %I', p.oid::regprocedure, who.rolname) as meet
    from who, pg_proc p
   where p.pronamespace = to_regnamespace('punctual')
     and p.proname in ('facts_of', 'facts_of_templates', 'html_of', 'count_template_uses', 'follow_missed', 'missed_change',
                       'templates_named', 'part_separator', 'retain', 'put_in_app', 'has_in_app', 'push_keys', 'end_push', 'write_back',
                       'mapped_write', 'mapped_statuses', 'mapped_correct', 'mapped_reply', 'mapped_sids', 'mapped_knows', 'send_user_notices', 'event_for_text', 'put_text', 'renew_drafts', 'planner_people', 'planner_events', 'quiet_hours_of', 'messages_of', 'click_link', 'job_answer', 'follow_jobs', 'write_opt_out', 'show_counts')
     and not has_function_privilege(who.oid, p.oid, 'EXECUTE')
), policies as (
  -- Row level security without a policy for a role shows it an empty table, and no error. A policy that names
  -- this role is meant for it, whatever its condition; one for all roles must have the condition true.
  select 3 as step, 'a policy of row level security for it on ' || t.name as need,
         format('drop policy if exists %1$I on %2$s; create policy %1$I on %2$s to %3$I using (true) with check (true)',
                left('punctual ' || who.rolname, 63), t.name, who.rolname) as meet
    from who, tables t
   where t.relrowsecurity and not who.sees_all
     and (t.relforcerowsecurity or not pg_has_role(who.oid, t.relowner, 'USAGE'))
     and exists (
       select from unnest(t.privileges || case when t.updates <> '{}' then '{UPDATE}' else '{}' end::text[]) as p
        where not exists (
          select from pg_policy y
           where y.polrelid = t.oid and y.polpermissive
             and y.polcmd in ('*', case p when 'SELECT' then 'r' when 'INSERT' then 'a'
                                          when 'UPDATE' then 'w' else 'd' end::"char")
             and (who.oid = any (y.polroles)
                  or ((0 = any (y.polroles)
                       or exists (select from unnest(y.polroles) as member
                                   where member <> 0 and pg_has_role(who.oid, member, 'USAGE')))
                      and coalesce(pg_get_expr(y.polqual, y.polrelid), 'true') = 'true'
                      and coalesce(pg_get_expr(y.polwithcheck, y.polrelid), 'true') = 'true'))))
)
select need, meet from (table schemas union all table grants union all table functions union all table policies) all_of_it
 order by step, need
