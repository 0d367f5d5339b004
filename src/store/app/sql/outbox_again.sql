-- $1 id  $2 error  $3 pause (ms)
update punctual.outbox
   set attempts = attempts + 1, last_error = $2, next_attempt_at = clock_timestamp() + $3::bigint * interval '1 millisecond'
 where id = $1
