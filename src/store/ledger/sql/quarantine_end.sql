-- Everything in it is decided, or a person releases it.
-- $1 due before: one that began since continues
update punctual.quarantine q
   set ended_at = clock_timestamp()
 where q.ended_at is null and q.due_before <= $1::timestamptz
