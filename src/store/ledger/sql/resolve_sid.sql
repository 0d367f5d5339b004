-- Whether a sid belongs to another message.
-- $1 sid  $2 message
select exists (select from punctual.attempts a
                where a.provider_sid = $1::text and a.message_id <> $2::uuid)
