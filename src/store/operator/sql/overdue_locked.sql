-- The channels of these messages of which none is free: other transactions have locked them all.
-- Read in a transaction that is rolled back, so that it waits for no commit and leaves no lock.
-- $1 ids
with free as materialized (
  select m.id from public.scheduled_messages m where m.id = any ($1::uuid[]) for no key update skip locked
)
select channel!(m) as channel
  from public.scheduled_messages m
  left join free f on f.id = m.id
 where m.id = any ($1::uuid[])
 group by 1
having count(f.id) = 0
