-- The reports of the provider about a message, for its history.
-- $1 message
select a.number, r.provider_sid, r.status, r.error_code, r.effect, r.row_status, r.received_at
  from punctual.receipts r
  left join punctual.attempts a on a.token = any (array[r.token])
 where r.message_id = $1::uuid
 order by r.id
