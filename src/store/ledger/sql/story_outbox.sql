-- The writes for a message that the app's tables have refused, for its history.
-- $1 message
select o.attempts, o.next_attempt_at, o.last_error, o.app_error, o.created_at
  from punctual.outbox o
 where o.message_id = $1::uuid
 order by o.id
