-- Which attempts have these sids.
-- $1 sids
select a.provider_sid, a.token
  from punctual.attempts a
 where a.provider_sid = any ($1::text[])
