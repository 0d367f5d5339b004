-- The conversation with each number, the oldest if there are several.
-- $1 numbers
select n.number, c.id::uuid
  from (select distinct number from unnest($1::text[]) as u (number)) n
  left join lateral (select c.id from public.conversations c
                      where c.phone_number = n.number order by c.created_at, c.id limit 1) c on true
