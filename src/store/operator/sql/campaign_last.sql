-- How many messages a campaign has, up to the last one.
-- $1 campaign
select coalesce(max(c.position), 0) from punctual.campaign_messages c where c.campaign_id = $1::uuid
