-- What the server does for a session whose client waits for a response. If the server waits too, and for longer
-- than anything is in transit, one of the two does not receive the other: then the session is ended, so that it
-- keeps no lock. One that does not exist any more does nothing either.
-- $1 its process; $2 when it began; $3 how many seconds are longer than anything is in transit
select coalesce((
  select case
           when a.state is null or a.state = 'disabled' then 'unknown'
           when a.state not like 'idle%' then 'at work'
           when a.state_change > clock_timestamp() - $3::float8 * interval '1 second' then 'at work'
           when pg_terminate_backend(a.pid) is not null then 'mute'
         end
    from pg_stat_activity a
   where a.pid = $1 and a.backend_start = $2), 'mute') as state
