-- Applies missed changes of calendar events to their messages; returns to how many.
-- $1 at most
select punctual.follow_missed($1) as followed
 where exists (select from punctual.missed_event_changes)
