-- A heartbeat; refused in a database of another history (check_history).
-- $1 instance  $2 its number  $3 heartbeats that are there  $4 attempts that were claimed
-- $5 attempts that have outcomes
update punctual.instances i
   set heartbeat_at = clock_timestamp(), beats = greatest(i.beats, $2::bigint)
 where i.id = $1::uuid and punctual.check_history($1::uuid, $3::bigint, $4::uuid[], $5::uuid[])
