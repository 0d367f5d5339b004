-- How many segments of a message have arrived.
-- $1 token  $2 sid
select count(*)
  from punctual.receipts r
 where r.token = $1::uuid and r.provider_sid = $2::text and r.status like 'segment % delivered'
