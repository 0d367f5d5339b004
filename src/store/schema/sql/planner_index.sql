-- The statements for the index by which the events of a user are found, as far as it is missing; one that was not
-- built to its end is removed first. It is partial, because other statements, which name an event and its user,
-- would use it too.
select i.name, s.statement
  from (values ('task_calendar_events_planner_idx',
                '(user_id, event_start) where event_start is not null')) as i (name, rest)
  left join pg_catalog.pg_index x on x.indexrelid = to_regclass('public.' || i.name)
 cross join lateral (
   values (1, format('drop index concurrently public.%I', i.name)),
          (2, format('create index concurrently %I on public.task_calendar_events %s', i.name, i.rest))) as s (step, statement)
 where not coalesce(x.indisvalid, false) and (s.step = 2 or x.indexrelid is not null)
 order by s.step
