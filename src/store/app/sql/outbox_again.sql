-- Records that the app's tables refused a write again, and when it will be retried.
-- $1 id  $2 error  $3 the app's message  $4 pause (ms)
update punctual.outbox
   set attempts = attempts + 1, last_error = $2, app_error = $3,
       next_attempt_at = clock_timestamp() + $4::bigint * interval '1 millisecond'
 where id = $1
