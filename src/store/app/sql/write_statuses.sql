-- Updates rows of the app's that waited in the outbox; returns why they are not updated yet, if so.
-- $1 sids
select coalesce(w.refusal, case when w.held <> '{}' then 'the row is locked by another transaction' end), w.words
  from punctual.write_statuses($1::text[]) w
