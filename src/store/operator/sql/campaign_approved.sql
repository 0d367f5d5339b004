-- The approved messages of a campaign, in their order.
-- $1 campaign  $2 after this position  $3 at most so many
select c.id, c.position, c.customer_name, c.phone_number, c.content
  from punctual.campaign_messages c
 where c.campaign_id = $1::uuid and c.status = 'APR' and c.position > $2::int
 order by c.position
 limit $3::bigint
