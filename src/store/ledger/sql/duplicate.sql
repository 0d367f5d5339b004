-- Whether another attempt at the same message was accepted as well, and not given up by the
-- provider: then the text went out twice.
-- $1 token
select exists (
  select from punctual.attempts a
    join punctual.attempts o on o.message_id = a.message_id and o.part = a.part and o.token <> a.token
   where a.token = $1::uuid and o.outcome = 'accepted'
     and not undelivered!(o)
     and not undelivered!(a))
