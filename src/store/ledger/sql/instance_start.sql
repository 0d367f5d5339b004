-- Registers an instance, or registers it again after it was deregistered.
-- $1 instance  $2 version of the program  $3 how it learns of changes
insert into punctual.instances (id, version, beats, changes) values ($1::uuid, $2::text, 0, $3::text)
on conflict (id) do update set heartbeat_at = clock_timestamp(), stopped_at = null,
  beats = coalesce(instances.beats, 0)
