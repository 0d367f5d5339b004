-- Which of these conversations there are, held by somebody or not.
-- $1 ids
select c.id::uuid
  from unnest($1::uuid[]) as u (id)
  join public.conversations c on c.id = u.id
