-- Keeps that a segment of a message has arrived, among the reports about it.
-- $1 message  $2 token  $3 sid  $4 the modem's number of the segment
insert into punctual.receipts (message_id, token, provider_sid, status, effect)
values ($1::uuid, $2::uuid, $3::text, 'segment ' || $4::text || ' delivered', 'advanced')
on conflict (token, provider_sid, status) do nothing
