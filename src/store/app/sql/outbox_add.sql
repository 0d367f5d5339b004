-- $1 message  $2 the write  $3 why the app's tables refused it
insert into punctual.outbox (message_id, write, last_error, next_attempt_at)
values ($1, $2, $3, clock_timestamp() + interval '1 second')
