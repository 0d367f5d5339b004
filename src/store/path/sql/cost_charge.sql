-- Counts what texts cost to a day, unless a cap of it would be exceeded: then the scope whose, and what is counted
-- there (triggers/costs.sql).
-- $1 the day  $2 tokens  $3 amounts  $4 campaigns  $5 users  $6 whether each must be sent
-- $7 the cap of the installation, $8 of a campaign, $9 of a user (null: none)
select c.token, c.reached, c.spent
  from punctual.charge_costs($1::text::date, $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::bool[], $7::bigint,
                             $8::bigint, $9::bigint) c
