-- What the server does for a session of ours that waits for its answer. If it waits in its turn,
-- and for longer than anything is under way, one of the two does not hear the other: then it is
-- ended, so that it holds no row. One that is not there any more does nothing either.
-- $1 its process; $2 when it began; $3 so many seconds are longer than anything is under way
select coalesce((
  select case
           when a.state is null or a.state = 'disabled' then 'unknown'
           when a.state not like 'idle%' then 'at work'
           when a.state_change > clock_timestamp() - $3::float8 * interval '1 second' then 'at work'
           when pg_terminate_backend(a.pid) is not null then 'mute'
         end
    from pg_stat_activity a
   where a.pid = $1 and a.backend_start = $2), 'mute') as state
