-- The senders that the next 1,000 messages name, and the accounts, with their number of rows; null: none.
select n.sender, n.account, count(*) as n
  from (select nullif(btrim(m.from_number, white!()), '') as sender, nullif(btrim(m.account, white!()), '') as account
          from public.scheduled_messages m
         where m.status = 'pending' and is_text!(m) order by due!(m) limit 1000) n
 group by 1, 2
 order by 3 desc, 1, 2
