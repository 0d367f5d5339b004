-- Which attempt a callback is about: by the ids it carries, or without them by the sid. An attempt
-- that the database had lost and regained may have another token than its request had.
-- $1 token  $2 message  $3 sid
select a.token, a.message_id
  from punctual.attempts a
 where a.token = $1::uuid and a.message_id = $2::uuid
union all
select a.token, a.message_id
  from punctual.attempts a
 where $1::uuid is null and a.provider_sid = $3::text
union all
select a.token, a.message_id
  from punctual.attempts a
 where a.provider_sid = $3::text and a.message_id = $2::uuid and a.regained and a.token <> $1::uuid
   and not exists (select from punctual.attempts o where o.token = $1::uuid)
