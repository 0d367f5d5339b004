-- How many messages of a campaign are still to be sent.
-- $1 campaign
select count(*) from public.scheduled_messages m where m.status = 'pending' and m.campaign_id = $1::uuid
