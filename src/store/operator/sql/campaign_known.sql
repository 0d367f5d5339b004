-- Which of these messages a campaign has already: their numbers in the list, from 1, and their positions.
-- $1 campaign  $2 numbers  $3 texts
select n.nth, c.position
  from unnest($2::text[], $3::text[]) with ordinality as n (phone_number, content, nth)
 cross join lateral (
   select c.position from punctual.campaign_messages c
    where c.campaign_id = $1::uuid and c.phone_number = n.phone_number and md5(c.content) = md5(n.content)
   offset 0) c
 order by n.nth
