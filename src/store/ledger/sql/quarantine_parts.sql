-- Messages of several parts of which the outcome of a part from before a restore is still looked up. Once it is found
-- accepted, they are in quarantine: the parts after it may have been sent too.
-- $1 messages at most, of open attempts and of uncertain ones
select open.message_id from (
  select a.message_id, a.part, a.texts, a.recovered
    from punctual.attempts a
   where a.outcome is null
   order by a.lease_until
   limit $1) open
 where open.recovered and (open.part > 0 or open.texts is not null)
union
select uncertain.message_id from (
  select a.message_id, a.part, a.texts, a.recovered
    from punctual.attempts a
   where a.outcome = 'unknown' and a.next_lookup_at is not null
   order by a.next_lookup_at
   limit $1) uncertain
 where uncertain.recovered and (uncertain.part > 0 or uncertain.texts is not null)
