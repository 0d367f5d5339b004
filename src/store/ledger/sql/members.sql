-- The instances that run: heard of within the heartbeat's time-out, and not signed off.
-- $1 heartbeat time-out (ms)  $2 rows at most
select i.id
  from punctual.instances i
 where i.stopped_at is null
   and i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond'
 order by i.id
 limit $2
