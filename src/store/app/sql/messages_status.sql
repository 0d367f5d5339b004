-- Brings a row of the app's `messages` up to what is known. Taking it from the attempt, and
-- holding that meanwhile, lets no older word overwrite a newer one.
-- $1 sid
with known as (
  select a.provider_sid, a.message_status
    from punctual.attempts a
   where a.provider_sid = $1::text and a.message_status is not null
     for share
)
update public.messages m
   set status = known.message_status, updated_at = clock_timestamp()
  from known
 where m.twilio_sid = known.provider_sid and m.status is distinct from known.message_status
