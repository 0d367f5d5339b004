-- Which of these sids are in the ledger: what belongs to one attempt is no proof for another.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 cross join lateral (
   (select from punctual.attempts a where a.provider_sid = s.sid limit 1)
   union all
   (select from punctual.receipts r where r.provider_sid = s.sid limit 1)
   limit 1) known
