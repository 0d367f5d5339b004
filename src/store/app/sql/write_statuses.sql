-- Brings rows of the app's that waited in the outbox up to what is known; why they are not yet, if they are not.
-- $1 sids
select coalesce(w.refusal, case when w.held <> '{}' then 'the row is held by another transaction' end), w.words
  from punctual.write_statuses($1::text[]) w
