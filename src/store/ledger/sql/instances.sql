-- The instances that run, and those that were heard within the last hour and have not stopped by themselves, for
-- people.
-- $1 heartbeat time-out (ms)  $2 rows at most
select i.id, i.started_at, i.heartbeat_at, clock_timestamp() as now,
       i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond' as is_running,
       coalesce(i.program, 1) >= oldest_program!() as may_claim,
       array(select jsonb_array_elements_text(case when jsonb_typeof(i.state -> 'missing') = 'array'
                                                   then i.state -> 'missing' end)) as missing
  from punctual.instances i
 where i.stopped_at is null
   and i.heartbeat_at > clock_timestamp() - interval '1 hour'
 order by i.started_at, i.id
 limit $2
