-- The messages of a campaign that are to be sent, in their order; those that another transaction holds, as a claim
-- does, are passed over. One of which parts were sent keeps its time.
-- $1 campaign  $2 at most so many  $3 those of which parts were sent, too
select m.id, due!(m) as due_at
  from public.scheduled_messages m
 where m.status = 'pending' and m.campaign_id = $1::uuid and (m.parts_done = 0 or $3::bool)
 order by due!(m), m.id
 limit $2::bigint
   for no key update skip locked
