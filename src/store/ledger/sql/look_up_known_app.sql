-- Which of these sids are in the app's table: mainly messages that it sent itself. Where the table has no such
-- column the name is that of `none`.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 cross join (select null::text as twilio_sid) none
 where exists (select from public.messages m where twilio_sid = s.sid)
