-- Whether a session is in a database of the history that this instance knows (check_history refuses it otherwise),
-- and whether that is a standby, where nothing can be claimed.
-- $1 instance  $2 heartbeats that are there  $3 attempts that were claimed  $4 attempts that have outcomes
select pg_is_in_recovery() as is_standby
 where punctual.check_history($1::uuid, $2::bigint, $3::uuid[], $4::uuid[])
