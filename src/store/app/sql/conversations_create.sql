-- Creates the conversations that are still missing, with the contact where the number is known.
-- The app's triggers may write the number another way; what comes back is what stands.
-- $1 numbers
with missing as (
  select distinct number from unnest($1::text[]) as u (number)
   where not exists (select from public.conversations c where c.phone_number = u.number)
)
insert into public.conversations (phone_number, contact_id, last_message_at)
select number,
       (select k.id from public.contacts k where k.phone_number = number order by k.created_at limit 1),
       clock_timestamp()
  from missing
returning phone_number::text, id::uuid
