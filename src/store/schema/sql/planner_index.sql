-- The statements for the indexes by which the events of a user are found, and those of an id where the app's table has
-- no index for that, as far as they are missing; one that was not built to its end is removed first. The first is
-- partial, because other statements, which name an event and its user, would use it too.
select i.name, s.statement
  from (values (1, 'task_calendar_events_planner_idx', '(user_id, event_start) where event_start is not null', true),
               (2, 'task_calendar_events_event_idx', '(calendar_event_id, user_id)', punctual.lacks_event_index()))
       as i (nth, name, rest, is_needed)
  left join pg_catalog.pg_index x on x.indexrelid = to_regclass('public.' || i.name)
 cross join lateral (
   values (1, format('drop index concurrently public.%I', i.name)),
          (2, format('create index concurrently %I on public.task_calendar_events %s', i.name, i.rest))) as s (step, statement)
 where i.is_needed and not coalesce(x.indisvalid, false) and (s.step = 2 or x.indexrelid is not null)
 order by i.nth, s.step
