-- Deletes a write that succeeded from the outbox.
-- $1 id
delete from punctual.outbox where id = $1
