-- What the texts of a day cost, as far as they are counted.
-- $1 the day
select d.amount from punctual.cost_days d where d.day = $1::text::date and d.scope = 'installation' and d.what = ''
