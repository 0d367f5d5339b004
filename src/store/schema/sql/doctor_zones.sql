-- The time zones of the next messages, with their number of rows.
select btrim(next.timezone, white!()) as zone, count(*) as n
  from (select m.timezone from public.scheduled_messages m
         where m.status = 'pending' order by due!(m) limit 1000) next
 where next.timezone ~ '\S'
 group by 1
 order by 2 desc, 1
