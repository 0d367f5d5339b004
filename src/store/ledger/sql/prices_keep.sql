-- Keeps what requests cost. An attempt that another transaction has locked is passed over.
-- $1 tokens  $2 amounts  $3 units
with free as materialized (
  select a.token, p.amount, p.unit
    from unnest($1::uuid[], $2::text[], $3::text[]) as p (token, amount, unit)
   cross join lateral (
     select a.token from punctual.attempts a
      where a.token = p.token and (a.price, a.price_unit) is distinct from (p.amount::numeric, p.unit)
        for no key update skip locked) a
   order by a.token
)
update punctual.attempts a
   set price = f.amount::numeric, price_unit = f.unit
  from free f
 where a.token = any (array[f.token])
