-- What in the catalog prevents messages from being found or claimed, and what may: one row each. Read by the
-- running daemon every few seconds, and by `punctual doctor`.
-- is_certain: messages are not sent, or sent late, because of it; otherwise only if claims change nothing.
-- $1, $2, $3 the triggers that should exist: names, tables, and whether a trigger is optional if
-- its table does not exist; $4 whether to look for every role of a daemon, and not only for this session's
with tab as (
  select c.oid, c.relowner, c.relrowsecurity, c.relforcerowsecurity
    from pg_catalog.pg_class c
   where c.oid = to_regclass('public.scheduled_messages')
), who as (
  select d.oid, d.rolname, d.sees_all from daemon_roles!() d where $4 or d.rolname = current_user
)
select 'triggers' as what, true as is_certain,
       format('trigger %s is %s', e.name, case when t.oid is null then 'missing' else 'disabled' end) as found,
       case when t.oid is null then 'run `punctual migrate` as the owner of the tables'
            else format('alter table %s enable %strigger %I', e.tab,
                        case when e.name like '%\_replicated' then 'replica ' else '' end, e.name) end as remedy
  from unnest($1::text[], $2::text[], $3::bool[]) as e (name, tab, optional)
  left join pg_catalog.pg_trigger t
    on t.tgrelid = (select oid from tab) and t.tgname = e.name and not t.tgisinternal
 -- One of them is for sessions that replicate, in which the others do not fire.
 where (t.oid is null
        or t.tgenabled not in ('A', case when e.name like '%\_replicated' then 'R' else 'O' end::"char"))
   and parse_ident(e.tab) = parse_ident('public.scheduled_messages') and not e.optional
union all
select 'row security', true,
       format('the restrictive policy %I may hide messages from the role %I', y.polname, who.rolname),
       format('alter policy %1$I on public.scheduled_messages to roles other than the daemon''s, or drop it', y.polname)
  from tab
 cross join who
  join pg_catalog.pg_policy y on y.polrelid = tab.oid and not y.polpermissive and y.polcmd in ('*', 'r', 'w')
 where tab.relrowsecurity and not who.sees_all
   and (tab.relforcerowsecurity or not pg_has_role(who.oid, tab.relowner, 'USAGE'))
   and exists (select from unnest(y.polroles) as member
                where member = 0 or pg_has_role(who.oid, member, 'USAGE'))
   and (coalesce(pg_get_expr(y.polqual, y.polrelid), 'true') <> 'true'
        or coalesce(pg_get_expr(y.polwithcheck, y.polrelid), 'true') <> 'true')
union all
select 'rules', true,
       format('rule %I rewrites changes of scheduled_messages', r.rulename),
       format('drop rule %I on public.scheduled_messages', r.rulename)
  from tab
  join pg_catalog.pg_rewrite r on r.ev_class = tab.oid
 where r.ev_type in ('2', '3') and r.is_instead and r.ev_enabled in ('O', 'A')
union all
select 'rules', false,
       format('rule %I adds statements to changes of scheduled_messages', r.rulename),
       format('if it sends messages, every recipient is texted twice, and an error in it fails every claim: drop rule %I on public.scheduled_messages', r.rulename)
  from tab
  join pg_catalog.pg_rewrite r on r.ev_class = tab.oid
 where r.ev_type in ('2', '3', '4') and not r.is_instead and r.ev_enabled in ('O', 'A')
union all
select 'app triggers', false,
       format('trigger %I may drop changes, for it returns null', t.tgname),
       format('have it return new, or: alter table public.scheduled_messages disable trigger %I', t.tgname)
  from tab
  join pg_catalog.pg_trigger t on t.tgrelid = tab.oid and not t.tgisinternal and t.tgenabled in ('O', 'A')
  join pg_catalog.pg_proc p on p.oid = t.tgfoid
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
 -- For each row, before, at an update.
 where n.nspname <> 'punctual' and t.tgtype & 19 = 19 and p.prosrc ~* 'return\s+(null|old)\s*;'
union all
select 'commits', true,
       -- Without a number that grows: the text is the cause's name.
       format('commits wait for a standby (synchronous_standby_names = %L)', current_setting('synchronous_standby_names')),
       'bring the standby back, or: alter system reset synchronous_standby_names; select pg_reload_conf()'
  from pg_catalog.pg_stat_activity a
 where a.wait_event = 'SyncRep'
having min(a.query_start) < clock_timestamp() - interval '5 s'
