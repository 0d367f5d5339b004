-- Which attempts have these sids.
-- $1 sids
select a.provider_sid, a.token
  from punctual.attempts a
 where a.provider_sid in (select unnest($1::text[]))
