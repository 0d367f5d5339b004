-- Which of these sids the ledger has: what is somebody's is nobody else's proof.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 cross join lateral (
   (select from punctual.attempts a where a.provider_sid = s.sid limit 1)
   union all
   (select from punctual.receipts r where r.provider_sid = s.sid limit 1)
   limit 1) known
