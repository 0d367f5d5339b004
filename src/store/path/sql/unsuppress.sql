-- The recipient wants to hear from these senders again. What was cancelled stays cancelled.
-- $1 our senders  $2 their number
delete from punctual.suppressions
 where their_number = $2::text and our_number = any ($1::text[])
