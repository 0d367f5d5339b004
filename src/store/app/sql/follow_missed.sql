-- Applies to messages the changes of calendar events, and opt-outs, that they have missed; returns to how many.
-- $1 at most
select punctual.follow_missed($1) as followed
 where exists (select from punctual.missed_event_changes)
