-- How many due messages of a campaign wait for its pace, counted up to a bound.
-- $1 campaign  $2 count at most
select count(*)
  from (select
          from public.scheduled_messages m
         where m.status = 'pending' and m.campaign_id = $1::uuid and m.parts_done = 0
           and due!(m) <= (select clock_timestamp())
         limit $2) waiting
