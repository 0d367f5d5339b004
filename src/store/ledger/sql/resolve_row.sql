-- Locks the row that a person decides about.
-- The text is the one of the latest attempt, where a template was rendered.
-- $1 id
select m.status::text, has_app_rows!(m) as has_app_rows, m.conversation_id::uuid, m.to_number::text, m.from_number::text,
       coalesce((select a.body from punctual.attempts a where a.message_id = m.id
                  order by a.number desc limit 1), m.body)::text as body
  from public.scheduled_messages m
 where m.id = $1::uuid
   for no key update
