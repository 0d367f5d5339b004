-- Holds the row a person speaks about.
-- $1 id
select m.status::text, m.conversation_id::uuid, m.to_number::text, m.from_number::text, m.body::text
  from public.scheduled_messages m
 where m.id = $1::uuid
   for no key update
