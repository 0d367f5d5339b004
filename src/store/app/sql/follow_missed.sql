-- Has messages follow their calendar events that missed a change of them; how many did.
-- $1 at most
select punctual.follow_missed($1) as followed
 where exists (select from punctual.missed_event_changes)
