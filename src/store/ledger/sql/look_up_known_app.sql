-- Which of these sids the app has written down: messages it sent itself, above all.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 where exists (select from public.messages m where m.twilio_sid = s.sid)
