-- What was decided in a campaign, and changed, the latest first: one row for what one statement did.
-- $1 campaign  $2 at most so many
select h.at, h.who, h.role, h.was, h.status, count(*) as messages, min(h.position) as first, max(h.position) as last
  from punctual.campaign_history h
 where h.campaign_id = $1::uuid
 group by h.at, h.who, h.role, h.was, h.status
 order by h.at desc, h.was, h.status
 limit $2::bigint
