-- How many due messages wait for a pace, counted up to a bound.
-- $1 kind  $2 which one  $3 count at most  $4 the sender for rows that name none
select count(*)
  from (select
          from punctual.paces p
         cross join (select $4::text as sender, account_senders!() as senders) ours
         cross join (select clock_timestamp() as at offset 0) reach
         cross join lateral (queue!(p)) q (id, due)
         cross join lateral (
           select from public.scheduled_messages m where m.id = any (array[q.id]) and is_queued!(m) offset 0) m
         where p.scope = $1::text and p.what = $2::text
         limit $3) waiting
