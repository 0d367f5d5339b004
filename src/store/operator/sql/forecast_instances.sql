-- What the instances that run have published, and the one that ran last. Those whose program is too old for the schema
-- claim nothing. What is published for live pages alone (instance_feeds.sql) is left out: it is most of it.
-- $1 heartbeat time-out (ms)  $2 rows at most
with up as (
  select i.id, i.heartbeat_at, i.state - 'feed' as state,
         i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond'
         and coalesce(i.program, 1) >= oldest_program!() as is_running
    from punctual.instances i
   where i.stopped_at is null
), stopped as (
  select i.id, i.heartbeat_at, i.state - 'feed' as state, false as is_running
    from punctual.instances i
   where i.stopped_at is not null
   order by i.stopped_at desc
   limit 1
)
select clock_timestamp() as now, i.*
  from (select * from up union all select * from stopped) i
 order by i.is_running desc, i.heartbeat_at desc
 limit $2
