-- The changes that came too late for a message. Ordered by an expression, so that the index on the message finds them.
-- $1 id
select n.at, n.note
  from punctual.notes n
 where n.message_id = $1::uuid
 order by n.id + 0
