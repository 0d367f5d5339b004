-- Keeps the reports that changed or contradicted something.
-- $1 messages  $2 tokens  $3 sids  $4 the provider's terms  $5 its codes  $6 effects  $7 rows' statuses
insert into punctual.receipts (message_id, token, provider_sid, status, error_code, effect, row_status)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[])
on conflict (token, provider_sid, status) do nothing
