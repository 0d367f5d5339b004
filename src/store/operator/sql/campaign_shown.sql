-- Messages of a campaign with what has become of them, in their order.
-- $1 campaign  $2 after this position  $3 in one of these statuses (none: in any)  $4 a part of the name, the number or
-- the text (null: any)  $5 at most so many  $6 the statuses as the table has them, by which rows are found (none: any)
select c.position, c.customer_name, c.phone_number, c.content, c.status, c.decided_by, c.decided_at, c.message_id, c.due_at,
       c.sent_at, c.delivered_at, c.reason, as_seen!(c) as seen
  from punctual.campaign_messages own
  join punctual.campaign_rows() c on c.id = any (array[own.id])
 where own.campaign_id = $1::uuid and own.position > $2::int
   and (cardinality($6::text[]) = 0 or own.status = any ($6::text[]))
   and (cardinality($3::text[]) = 0 or c.status = any ($3::text[]))
   and ($4::text is null or position(lower($4::text) in lower(concat_ws(' ', c.customer_name, c.phone_number, c.content))) > 0)
 order by own.position
 limit $5::bigint
