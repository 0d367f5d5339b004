-- Which of these sids the app has written down: messages it sent itself, above all. Where its table has no such
-- column the name is that of `none`.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 cross join (select null::text as twilio_sid) none
 where exists (select from public.messages m where twilio_sid = s.sid)
