-- The log of consents from one row on, in its order.
-- $1 after which row  $2 how many at most
select c.id, c.recipient, c.user_id, c.is_given, c.scope, c.our_number, c.how, c.shown, c.at, c.recorded_at, c.role, c.actor
  from punctual.consents c
 where c.id > $1::bigint
 order by c.id
 limit $2::bigint
