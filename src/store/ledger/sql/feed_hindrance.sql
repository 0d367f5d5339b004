-- Whether another instance that runs has nothing but notifications to learn of changes (one of an earlier program does
-- not say), and whether commits would wait for this one.
-- $1 instance  $2 heartbeat time-out (ms)
select exists (
  select from punctual.instances i
   where i.stopped_at is null
     and i.heartbeat_at > clock_timestamp() - $2::bigint * interval '1 millisecond'
     and i.id <> $1::uuid
     and coalesce(i.changes, 'notify') = 'notify') as is_needed,
  is_waited_for!() as is_waited_for
