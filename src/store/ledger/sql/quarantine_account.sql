-- Records that everything these instances sent is in the ledger. With the last of them the quarantine ends.
-- $1 this instance  $2 the instances  $3 heartbeats of this one  $4 attempts that were claimed
-- $5 attempts that have outcomes: only in the history that this instance knows
update punctual.quarantine q
   set unaccounted = array(select u.id from unnest(q.unaccounted) as u (id) where u.id <> all ($2::uuid[])),
       ended_at = case when q.unaccounted <@ $2::uuid[] then clock_timestamp() end
 where q.ended_at is null and punctual.check_history($1::uuid, $3::bigint, $4::uuid[], $5::uuid[])
returning q.ended_at is not null as has_ended
