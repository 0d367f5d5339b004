-- planner ─▶ missing, late
-- The planner of reminders, and how events are found: a row for each, as in doctor_server.sql.
-- $1 whether the settings want it on; null: that is not known  $2 the key of its template
with planner as (
  select coalesce((select p.is_on from punctual.planner p), false) as is_on
), missing as (
  select string_agg(format('the trigger punctual_plan_%s of %s is missing or disabled', e.event, t.tab), '; ' order by t.tab, e.event) as line
    from punctual.planner_tables() t
   cross join unnest(array['insert', 'update', 'delete']) as e (event)
   where to_regclass('public.' || t.tab) is not null
     and not exists (select from pg_catalog.pg_trigger g
                      where g.tgrelid = to_regclass('public.' || t.tab) and g.tgname = 'punctual_plan_' || e.event
                        and g.tgenabled in ('O', 'A'))
), late as (
  select count(*) as n
    from (select from punctual.planner_users u where u.at < clock_timestamp() - interval '5 minutes' limit 10000) few
)
select 'planner' as what, case when $1::boolean and not p.is_on then 'bad' else 'warn' end as level,
       case when $1 and not p.is_on then 'planner.enabled is true, and the planner is off in the database'
            when not $1 and p.is_on then 'the planner is on in the database, and planner.enabled is not true'
            when not p.is_on then null
            when not exists (select from punctual.templates_named($2::text, 1) t where t.is_it and t.is_active)
              then format('sms_templates has no active template %s, so nothing is planned', $2)
            when m.line is not null then m.line
            when l.n > 0 then l.n || ' users wait for their reminders to be planned'
       end as found,
       case when p.is_on then 'on' else 'off' end as fine,
       case when $1 is distinct from p.is_on or m.line is not null then 'run `punctual migrate` with the settings of the daemon'
            when l.n > 0 then 'see that a daemon runs with planner.enabled = true; its log has the reason'
            else 'insert such a template, or set planner.template' end as remedy
  from planner p, missing m, late l
union all
select 'event index', 'warn',
       case when punctual.lacks_event_index() then 'no index of task_calendar_events begins with calendar_event_id' end,
       'events are found by their id',
       'each claim of a reminder reads all of that table: create index concurrently on public.task_calendar_events (calendar_event_id, user_id)'
