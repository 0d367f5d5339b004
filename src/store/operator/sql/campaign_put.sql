-- Schedules approved messages of a campaign: each gets a row of scheduled_messages, as an app would insert it. What
-- is not approved any more, or as it was read, gets none.
-- $1 campaign  $2 sender  $3 messages of the campaign  $4 ids of their rows  $5 when they are due  $6 their numbers
-- $7 their texts
with mine as materialized (
  select c.id, n.message_id, n.due
    from unnest($3::bigint[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[])
           as n (id, message_id, due, phone_number, content)
   cross join lateral (
     select c.id from punctual.campaign_messages c
      -- By the key alone, whatever else has an index.
      where c.id = n.id and c.campaign_id::text = $1::uuid::text and c.status || '' = 'APR'
        and (c.phone_number || '', c.content || '') = (n.phone_number, n.content)
     offset 0) c
), kept as (
  update punctual.campaign_messages c
     set status = 'SCH', message_id = m.message_id
    from mine m
   where c.id = any (array[m.id]) and c.status || '' = 'APR'
  returning c.message_id, m.due, c.phone_number, c.content
)
insert into public.scheduled_messages (id, to_number, from_number, body, scheduled_at, campaign_id)
select k.message_id, k.phone_number, $2::text, k.content, k.due, $1::uuid
  from kept k
 order by k.message_id
