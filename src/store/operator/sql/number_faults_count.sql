-- How many pending messages there are whose number has a fault, among those that were found to have one and are due
-- first.
-- $1 how many of these are read
select count(*) as n
  from (select f.message_id, f.version from punctual.number_faults f
         where f.due > clock_timestamp()
         order by f.due
         limit $1::bigint) f
 cross join lateral (select from public.scheduled_messages m
                      where m.id = f.message_id and m.status || '' = 'pending' and m.version = f.version
                     offset 0) m
