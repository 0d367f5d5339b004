-- The instances that run: with a heartbeat within the time-out, and not stopped. Those whose program is too old for the
-- schema claim nothing.
-- $1 heartbeat time-out (ms)  $2 rows at most
select i.id,
       coalesce(i.program, 1) >= oldest_program!() as may_claim
  from punctual.instances i
 where i.stopped_at is null
   and i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond'
 order by i.id
 limit $2
