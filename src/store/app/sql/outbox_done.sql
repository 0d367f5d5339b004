-- $1 id
delete from punctual.outbox where id = $1
