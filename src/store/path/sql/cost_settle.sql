-- changed ─┬─▶ settled
--          └─▶ days
-- Corrects the counts of texts that were counted and not sent, and of those whose price is known in this currency. What
-- turns out to be sent after all is counted as before.
-- $1 how many  $2 the currency
with changed as materialized (
  select c.token, c.day, c.campaign, c.user_id, c.counted, coalesce(a.amount, c.amount) as actual
    from (select c.token, c.day, c.campaign, c.user_id, c.amount, coalesce(c.counted, c.amount) as counted
            from punctual.costs c
           where c.is_changed
           order by c.token
           fetch first ($1::bigint) rows only
             for no key update skip locked) c
    left join lateral (
      select case when sent_nothing!(o) then 0
                  when upper(o.price_unit) = $2::text then least(round(abs(o.price) * 1e9), 1e18)::bigint end as amount
        from punctual.attempts o where o.token = c.token offset 0) a on true
), settled as (
  update punctual.costs c
     set counted = f.actual, is_changed = false
    from changed f
   where c.token = any (array[f.token])
), days as (
  -- Its rows are there, unless the day is long over. In the order in which a charge locks them.
  insert into punctual.cost_days as d (day, scope, what, amount)
  select s.day, s.scope, s.what, s.more
    from (select f.day, k.scope, k.what, sum(f.actual - f.counted)::bigint as more
            from changed f
           cross join lateral (values ('installation', ''), ('campaign', f.campaign), ('user', f.user_id)) k (scope, what)
           where k.what is not null and f.actual <> f.counted
           group by 1, 2, 3) s
   order by s.day, s.scope, s.what
  on conflict (day, scope, what) do update set amount = greatest(d.amount + excluded.amount, 0)
)
select count(*) as n from changed
