-- Deregisters an instance that shuts down.
-- $1 instance
update punctual.instances set heartbeat_at = clock_timestamp(), stopped_at = clock_timestamp() where id = $1::uuid
