-- Notes on the attempt how far it has come. That the provider speaks of it at all is proof
-- that the provider has it, whatever our own answer was or will be.
-- $1 token  $2 sid  $3 the provider's word  $4 the app's word
update punctual.attempts a
   set outcome = 'accepted', provider_sid = $2, receipt_status = $3, message_status = $4,
       finished_at = coalesce(a.finished_at, clock_timestamp()),
       code = null, category = null, error = null
 where a.token = $1::uuid
