-- What was sent, where a callback came before we could say so and the row's text was written.
-- $1 sids  $2 texts as they were sent  $3 texts as the rows had them
update public.messages m
   set body = sent.body
  from unnest($1::text[], $2::text[], $3::text[]) as sent (sid, body, row_body)
 where m.twilio_sid = sent.sid and m.body = sent.row_body and sent.body <> sent.row_body
