-- The paces, as people see them.
select p.scope, p.what, extract(epoch from p.gap_min)::float8 as gap_min_s, extract(epoch from p.gap_max)::float8 as gap_max_s,
       p.burst, p.next_at, p.position, p.who, p.at
  from punctual.paces p
 order by p.next_at, p.scope, p.what
