-- The pauses that are in force.
select p.scope, p.what, p.until from punctual.pauses p where p.until > (select clock_timestamp())
