-- Which of these sids the ledger has: what is somebody's is nobody else's proof.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 where exists (select from punctual.attempts a where a.provider_sid = s.sid)
    or exists (select from punctual.receipts r where r.provider_sid = s.sid)
