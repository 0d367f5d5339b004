-- Puts a reply, or an opt-out, that the app's tables refused in the outbox.
-- $1 the write  $2 error  $3 the app's message  $4 pause (ms)
insert into punctual.outbox (write, last_error, app_error, next_attempt_at)
values ($1::jsonb, $2::text, $3::text, clock_timestamp() + $4::bigint * interval '1 millisecond')
