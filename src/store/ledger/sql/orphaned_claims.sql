-- Open claims of this instance whose lease is over. The daemon knows what it is sending; a claim that it does
-- not know was committed after its response was given up, and never began.
-- $1 instance  $2 rows at most
select a.token, a.message_id
  from punctual.attempts a
 where a.outcome is null and a.lease_until < clock_timestamp() and a.instance = $1::uuid
 order by a.lease_until
 limit $2
