-- The same of one recipient, also by the hash that is left of one who was forgotten.
-- $1 after which row  $2 how many at most  $3 the recipient
with named as materialized (
  select array[r.their_number, forgotten_number!(r)] as names from (select punctual.consent_key($3::text) as their_number) r
)
select c.id, c.recipient, c.user_id, c.is_given, c.scope, c.our_number, c.how, c.shown, c.at, c.recorded_at, c.role, c.actor
  from punctual.consents c
 where c.recipient = any ((select n.names from named n)::text[])
   -- By the recipient, not by the key.
   and c.id + 0 > $1::bigint
 order by array[c.id]
 limit $2::bigint
