-- Locks conversations for the note that a message was sent, without waiting: a wait could end
-- in a deadlock with the app. What somebody holds is not in the answer.
-- $1 ids
select c.id::uuid
  from unnest($1::uuid[]) as u (id)
  join public.conversations c on c.id = u.id
 order by c.id
   for no key update of c skip locked
