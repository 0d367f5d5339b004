-- $1 name  $2 checksum
insert into punctual.triggers (name, checksum) values ($1, $2)
on conflict (name) do update set checksum = excluded.checksum, applied_at = clock_timestamp()
