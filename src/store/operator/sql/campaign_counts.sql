-- How many messages of a campaign are in which status, when the first and the last of these is due, and when it was
-- sent.
-- $1 campaign
select c.status, count(*) as messages, min(c.due_at) as first_at, max(c.due_at) as last_at
  from punctual.campaign_rows() c
 where c.campaign_id = $1::uuid
 group by c.status
