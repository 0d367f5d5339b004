-- Records what is wrong with the numbers of pending messages, and how far they have been checked; and forgets messages
-- whose time has passed. How far was checked while the clock of the database was ahead does not count.
-- $1 ids  $2 faults  $3 due  $4 versions, as they were read  $5 how far ahead (s)  $6 all until then  $7 rows at most
with kept as (
  insert into punctual.number_faults as f (message_id, fault, due, version)
  select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[])
  on conflict (message_id) do update
     set fault = excluded.fault, due = excluded.due, version = excluded.version, at = clock_timestamp()
), over as (
  delete from punctual.number_faults f
   using (select o.message_id from punctual.number_faults o
           where o.due < clock_timestamp() - interval '1 hour' and o.message_id <> all ($1::uuid[])
           order by o.due
           limit $7::bigint
             for update skip locked) o
   where f.message_id = any (array[o.message_id])
)
insert into punctual.number_checks as c (ahead_s, until) values ($5::bigint, $6::timestamptz)
on conflict (ahead_s) do update
   set until = greatest(least(c.until, clock_timestamp() + $5::bigint * interval '1 second'), excluded.until)
