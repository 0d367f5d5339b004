-- What texts cost on days that are over.
-- $1 before this day  $2 rows
with texts as (
  delete from punctual.costs c
   where c.ctid = any (array(select o.ctid from punctual.costs o where o.day < $1::text::date limit $2::bigint))
  returning c.token
), days as (
  delete from punctual.cost_days d
   where d.ctid = any (array(select o.ctid from punctual.cost_days o where o.day < $1::text::date limit $2::bigint))
  returning d.day
)
select (select count(*) from texts) + (select count(*) from days) as n
