-- The senders that the next 1,000 messages name, with their number of rows; null: none.
select n.sender, count(*) as n
  from (select nullif(btrim(m.from_number, white!()), '') as sender from public.scheduled_messages m
         where m.status = 'pending' and is_text!(m) order by due!(m) limit 1000) n
 group by 1
 order by 2 desc, 1
