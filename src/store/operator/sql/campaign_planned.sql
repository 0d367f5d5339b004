-- What is planned of a campaign already: how many messages, and when the last of them is due by the plan.
-- $1 campaign
select count(*) as messages, max(m.scheduled_at) as last_at
  from punctual.campaign_messages c
  left join public.scheduled_messages m on m.id = any (array[c.message_id])
 where c.campaign_id = $1::uuid and c.status = 'SCH'
