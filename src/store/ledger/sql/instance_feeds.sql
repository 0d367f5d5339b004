-- What instances publish for live pages: those that are registered and were heard within the last hour, and those that
-- have stopped by themselves within the last minute. (By now(), which an index can be read by.)
-- $1 heartbeat time-out (ms)  $2 rows at most
with up as (
  select i.id, i.heartbeat_at, i.state,
         i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond' as is_running
    from punctual.instances i
   where i.stopped_at is null
     and i.heartbeat_at > clock_timestamp() - interval '1 hour'
), stopped as (
  select i.id, i.heartbeat_at, i.state, false as is_running
    from punctual.instances i
   where i.stopped_at > now() - interval '1 minute'
   order by i.stopped_at desc
   limit $2
)
select clock_timestamp() as now, i.id, i.is_running, i.state -> 'at' as at, i.state -> 'feed' as feed
  from (select * from up union all select * from stopped) i
 order by i.is_running desc, i.heartbeat_at desc
 limit $2
