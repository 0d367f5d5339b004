-- The pauses that are in force, as people see them.
select p.scope, p.what, p.until, p.why, p.who, p.at
  from punctual.pauses p
 where p.until > (select clock_timestamp())
 order by p.at, p.scope, p.what
