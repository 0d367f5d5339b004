-- Writes messages that waited in the outbox into the app's tables; returns why they are not written yet, if so.
-- $1 scheduled messages  $2 conversations  $3 bodies  $4 from  $5 to  $6 sids (empty: not known)  $7 sent at
select coalesce(w.refusal, case when w.held <> '{}' then 'the conversation is locked by another transaction' end), w.words
  from punctual.write_messages($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                               $7::timestamptz[]) w
