-- The attempts at a message, for its history.
-- $1 message
select a.number, a.part, a.token, a.instance, a.claimed_at, a.lease_until, a.started_at,
       a.finished_at, a.outcome, a.provider_sid, a.code, a.category, a.error, a.receipt_status,
       a.lookups, a.looked_up_at, a.lookup_note, a.next_lookup_at, a.settled_by, a.settled_at,
       a.lawful
  from punctual.attempts a
 where a.message_id = $1::uuid
 order by a.number, a.part
