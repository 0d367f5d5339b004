-- The events of users that begin within a span of each, and whether they are reminded of already. Each is looked
-- for by its key: written as `exists`, all that was ever planned would be read.
-- $1 users  $2 from  $3 until
select e.user_id, e.event, e.occurrence, e.title, e.link, e.starts, e.ends, e.is_all_day, e.is_twice,
       p.is_there is not null or m.is_there is not null as is_planned
  from punctual.planner_events($1, $2, $3) e
  left join lateral (
    select true as is_there from punctual.planned p
     where p.user_id = e.user_id and p.calendar_event_id = e.event and p.occurrence = e.occurrence
     limit 1) p on true
  left join lateral (
    select true as is_there from public.scheduled_messages m
     where m.calendar_event_id = e.event and m.user_id = e.user_id
       and m.status || '' in ('pending', 'sending', 'unconfirmed') and m.message_type = 'event_reminder'
     limit 1) m on true
