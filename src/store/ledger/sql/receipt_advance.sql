-- Notes on the attempt how far it has come. That the provider speaks of it at all is proof
-- that the provider has it, whatever our own answer was or will be.
-- $1 token  $2 sid  $3 the provider's word  $4 the app's word  $5 when the provider is asked, where
-- nothing more is heard (ms; null: never)
update punctual.attempts a
   set outcome = 'accepted', provider_sid = $2, receipt_status = $3, message_status = $4,
       finished_at = coalesce(a.finished_at, clock_timestamp()),
       code = null, category = null, error = null,
       next_ask_at = case when $5::bigint is null then null
                          when a.outcome = 'accepted' and a.next_ask_at is not null then a.next_ask_at
                          else clock_timestamp() + $5::bigint * interval '1 millisecond' end,
       asked = case when a.outcome = 'accepted' then a.asked else 0 end,
       sought_to = null, sought_from = null, sought_text = null
 where a.token = $1::uuid
