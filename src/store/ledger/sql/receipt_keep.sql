-- $1 message  $2 token  $3 sid  $4 the provider's word  $5 its code  $6 effect  $7 row's status
insert into punctual.receipts (message_id, token, provider_sid, status, error_code, effect, row_status)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (token, provider_sid, status) do nothing
