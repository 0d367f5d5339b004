-- These paces ($1), for a forecast of the messages that wait for them.
select p.id, p.scope, p.what, p.next_at, p.seed, p.position, p.burst,
       (extract(epoch from p.gap_min) * 1000000)::bigint as gap_min,
       (extract(epoch from p.gap_max) * 1000000)::bigint as gap_max
  from punctual.paces p
 where p.id = any ($1::uuid[])
