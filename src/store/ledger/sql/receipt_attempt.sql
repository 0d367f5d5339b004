-- Holds the attempt, whose row is held by now: a statement of its own, so that it sees what
-- whoever held the row before has committed.
-- $1 token  $2 sid
select a.outcome, a.provider_sid, a.receipt_status,
       a.number = (select max(b.number) from punctual.attempts b where b.message_id = a.message_id)
         as latest,
       coalesce(a.provider_sid <> $2::text, false)
         or exists (select from punctual.attempts b where b.provider_sid = $2::text and b.token <> a.token)
         as sid_conflict
  from punctual.attempts a
 where a.token = $1::uuid
   for no key update
