-- Records that the app's tables refused a write again, and when it will be retried.
-- $1 id  $2 error  $3 the app's message  $4 pause (ms)  $5 the present by a clock that follows no jump (null:
-- by the database's)
update punctual.outbox
   set attempts = attempts + 1, last_error = $2, app_error = $3,
       next_attempt_at = coalesce($5::timestamptz, clock_timestamp()) + $4::bigint * interval '1 millisecond'
 where id = $1
