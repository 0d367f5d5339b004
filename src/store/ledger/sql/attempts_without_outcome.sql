-- How many of these attempts have no outcome in the ledger, or are not in it.
-- $1 tokens
select count(*) as n
  from unnest($1::uuid[]) as t (token)
 where not exists (select from punctual.attempts a where a.token = any (array[t.token]) and a.outcome is not null)
