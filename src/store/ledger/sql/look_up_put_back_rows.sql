-- Locks unconfirmed rows that have attempts left, and returns their times: `policy::too_late` decides, and
-- look_up_put_back.sql writes, in the same transaction. A locked row is skipped, and tried again at the next
-- look-up.
-- $1 messages  $2 the sender for rows that name none
select m.id, late_since!(m), m.send_before, clock_timestamp()
  from public.scheduled_messages m
 cross join (select $2::text as sender, account_senders!() as senders) ours
 where m.id = any ($1::uuid[]) and is_unconfirmed!(m) and m.attempts < coalesce(m.max_attempts, 3)
 order by m.id
   for no key update of m skip locked
