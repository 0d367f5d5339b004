-- How many messages of a campaign are in which status, and when the first and the last of these is due. What has
-- become of them is read of the scheduled ones alone.
-- $1 campaign
select c.status, count(*) as messages, null::timestamptz as first_at, null::timestamptz as last_at
  from punctual.campaign_messages c
 where c.campaign_id = $1::uuid and c.status <> 'SCH'
 group by c.status
union all
select c.status, count(*), min(c.due_at), max(c.due_at)
  from punctual.campaign_rows() c
 where c.campaign_id = $1::uuid and c.message_id is not null
 group by c.status
