-- Corrects what messages were charged to the rates of their senders, once their texts are known. What was too much is
-- returned while theirs is the latest slot. Rates are locked in the order of their ids, by all that wait for them; each
-- is changed once, by all of its corrections together.
-- $1 rates  $2 tokens, one each  $3 segments more, or less
update punctual.paces p
   set next_at = p.next_at + x.segments * p.gap_min
  from (select r.id, sum(c.segments)::int as segments
          from (select r.id, r.token
                  from punctual.paces r
                 where r.id = any ($1::uuid[])
                 order by r.id
                   for no key update of r) r
          join unnest($1::uuid[], $2::uuid[], $3::int[]) as c (rate, token, segments)
            on c.rate = r.id and (c.token = r.token or c.segments > 0)
         group by r.id) x
 where p.id = any (array[x.id])
returning p.id, p.next_at
