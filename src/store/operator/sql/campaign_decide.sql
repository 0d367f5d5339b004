-- Approves or rejects messages of a campaign that were not scheduled. How many changed.
-- $1 campaign  $2 status  $3 from these statuses  $4 positions from, and $5 until  $6 a part of the name, the
-- number or the text (null: any)
update punctual.campaign_messages c
   set status = $2::text
 where c.campaign_id = $1::uuid and c.status = any ($3::text[]) and c.status <> $2::text
   and exists (select from unnest($4::int[], $5::int[]) as r (first, last) where c.position between r.first and r.last)
   and ($6::text is null or position(lower($6::text) in lower(concat_ws(' ', c.customer_name, c.phone_number, c.content))) > 0)
