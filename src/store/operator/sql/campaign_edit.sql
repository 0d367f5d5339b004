-- Changes a message of a campaign that was not scheduled, if it is as it was seen. The guard takes its approval back.
-- $1 campaign  $2 position  $3 as it was seen  $4 name  $5 number  $6 text
update punctual.campaign_messages c
   set customer_name = $4::text, phone_number = $5::text, content = $6::text
 where c.campaign_id = $1::uuid and c.position = $2::int and c.status || '' <> 'SCH' and as_seen!(c) = $3::text
