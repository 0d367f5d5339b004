-- Notes which reminders are planned, and returns the ids of their messages: what was planned before is left out,
-- also what another instance plans at this moment.
-- $1 ids  $2 users  $3 events  $4 occurrences  $5 their starts
insert into punctual.planned (user_id, calendar_event_id, occurrence, message_id, starts_at)
select w.user_id, w.event, w.occurrence, w.id, w.starts
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[]) as w (id, user_id, event, occurrence, starts)
 order by w.user_id, w.event, w.occurrence
on conflict do nothing
returning message_id
