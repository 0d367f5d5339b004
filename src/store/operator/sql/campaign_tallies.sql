-- How far campaigns are: how many of their messages are in which status before they are scheduled, and how many of
-- the scheduled ones are still to be sent.
-- $1 ids
select i.id, n.suggested, n.approved, n.rejected, n.scheduled, w.waiting
  from unnest($1::uuid[]) as i (id)
 cross join lateral (
   select count(*) filter (where c.status = 'SUG') as suggested, count(*) filter (where c.status = 'APR') as approved,
          count(*) filter (where c.status = 'REJ') as rejected, count(*) filter (where c.status = 'SCH') as scheduled
     from punctual.campaign_messages c
    where c.campaign_id = i.id) n
 cross join lateral (
   select count(*) as waiting from public.scheduled_messages m
    where m.status = 'pending' and m.campaign_id = i.id) w
