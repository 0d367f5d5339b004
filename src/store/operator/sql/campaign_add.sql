-- Adds messages to a campaign, as suggested.
-- $1 campaign  $2 the position before the first  $3 names  $4 numbers  $5 texts
insert into punctual.campaign_messages (campaign_id, position, customer_name, phone_number, content)
select $1::uuid, $2::int + n.nth, n.customer_name, n.phone_number, n.content
  from unnest($3::text[], $4::text[], $5::text[]) with ordinality as n (customer_name, phone_number, content, nth)
 order by n.nth
