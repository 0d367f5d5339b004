-- Corrects what messages were charged to the rates of their senders, once their texts are known. What was too much is
-- returned while theirs is the latest slot. Rates are locked in the order of their ids, by all that wait for them.
-- $1 rates  $2 tokens, one each  $3 segments more, or less
update punctual.paces p
   set next_at = p.next_at + x.segments * p.gap_min
  from (select r.id, x.token, x.segments
          from unnest($1::uuid[], $2::uuid[], $3::int[]) as x (rate, token, segments)
          join punctual.paces r on r.id = x.rate
         order by r.id
           for no key update of r) x
 where p.id = x.id and (p.token = x.token or x.segments > 0)
returning p.id, p.next_at
