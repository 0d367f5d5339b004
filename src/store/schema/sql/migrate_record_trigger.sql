-- Records that a file of triggers/ was applied.
-- $1 name  $2 checksum  $3 the number of this program
insert into punctual.triggers (name, checksum, program) values ($1, $2, $3)
on conflict (name) do update
   set checksum = excluded.checksum, program = excluded.program, applied_at = clock_timestamp()
