-- Messages that instances have cleared, in the order in which they did.
-- $1 cleared at, and $2 message, of the last row that was read (null: from the first)  $3 rows at most
select c.message_id, c.cleared_at
  from punctual.quarantine_cleared c
 where (c.cleared_at, c.message_id) > (coalesce($1::timestamptz, '-infinity'),
                                       coalesce($2::uuid, '00000000-0000-0000-0000-000000000000'))
 order by c.cleared_at, c.message_id
 limit $3
