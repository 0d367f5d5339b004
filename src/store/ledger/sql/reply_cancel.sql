-- Cancels what these campaigns still have for a person. Locked rows are skipped: their next claim knows of the reply.
-- $1 campaigns  $2 their number  $3 reason
with free as materialized (
  select m.id
    from public.scheduled_messages m
   where m.status = 'pending' and btrim(m.to_number, white!()) = $2::text
     -- By the number alone, whatever else has an index.
     and m.campaign_id::text = any ($1::uuid[]::text[])
     for no key update skip locked
)
update public.scheduled_messages m
   set status = 'cancelled', cancel_reason = $3::text, cancelled_at = clock_timestamp(), updated_at = clock_timestamp()
  from free
 where m.id = any (array[free.id])
