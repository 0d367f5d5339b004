-- The next 1,000 messages, and which of them have the same number as sender and recipient.
-- $1 the sender for rows that name none
select m.id, coalesce(is_text!(m) and btrim(m.to_number, white!()) = sender!(m), false) as is_to_itself
  from public.scheduled_messages m
 cross join (select $1::text as sender, account_senders!() as senders) ours
 where m.status = 'pending'
 order by due!(m)
 limit 1000
