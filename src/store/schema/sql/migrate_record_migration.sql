-- Records that a migration was applied.
-- $1 version  $2 name  $3 checksum
-- What another runner applied may have a row of its own already.
insert into punctual.migrations (version, name, checksum) values ($1, $2, $3)
on conflict (version) do update
   set name = excluded.name, checksum = excluded.checksum, applied_at = clock_timestamp()
