-- Which attempt a callback is about: by the ids it carries, or without them by the sid.
-- $1 token  $2 message  $3 sid
select a.token, a.message_id
  from punctual.attempts a
 where a.token = $1::uuid and a.message_id = $2::uuid
union all
select a.token, a.message_id
  from punctual.attempts a
 where $1::uuid is null and a.provider_sid = $3::text
