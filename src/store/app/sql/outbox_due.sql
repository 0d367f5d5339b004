-- The next writes to try again; each is tried in a transaction of its own.
-- $1 rows at most  $2 the present by a clock that follows no jump (null: by the database's)
select o.id, o.message_id, o.write, o.attempts
  from punctual.outbox o
 where o.next_attempt_at <= coalesce($2::timestamptz, statement_timestamp())
 order by o.next_attempt_at
 limit $1
   for update skip locked
