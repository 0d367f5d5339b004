-- next ─▶ minutes ─▶ (rates)
-- Of the next 1,000 texts: the sender, and the segments of its busiest minute. Of a campaign with a pace, the times
-- that were planned: what is deferred to one opening is sent a gap apart. And each sender that has a rate.
-- $1 the sender for rows that name none
with ours as materialized (
  select $1::text as sender, account_senders!() as senders
), next as materialized (
  select sender!(m) as sender, charge!(m) as segments,
         case when exists (select from punctual.paces p where p.scope = 'campaign' and p.what = m.campaign_id::text)
              then m.scheduled_at else due!(m) end as due
    from (select m.* from public.scheduled_messages m
           where m.status = 'pending' and is_text!(m)
           order by due!(m)
           limit 1000) m
   cross join ours
), minutes as (
  select n.sender, max(n.segments) as segments
    from (select n.sender, sum(n.segments) as segments
            from next n
           where n.sender is not null and isfinite(n.due)
           group by n.sender, date_trunc('minute', n.due)) n
   group by n.sender
)
select coalesce(m.sender, r.what) as sender, coalesce(m.segments, 0)::bigint as segments,
       extract(epoch from r.gap_min)::float8 as segment_s, r.burst
  from minutes m
  full join (select p.what, p.gap_min, p.burst::int from punctual.paces p where p.scope = 'sender') r on r.what = m.sender
 order by 2 desc, 1
 limit 100
