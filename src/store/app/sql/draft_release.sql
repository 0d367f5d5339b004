-- Releases a draft that may be tried again after a pause.
-- $1 the message  $2 the token of the taking  $3 the pause (ms)  $4 whether the attempt does not count
update punctual.drafts d
   set taken_until = clock_timestamp() + $3::bigint * interval '1 ms', taken_by = null,
       attempts = d.attempts - case when $4::bool then 1 else 0 end
 where d.message_id = $1::uuid and d.taken_by = $2::uuid and d.outcome is null
