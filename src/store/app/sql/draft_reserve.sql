-- Reserves what a call may cost at most, if the budget of today (UTC) has as much left; returns the day.
-- $1 the cost (billionths of a USD)  $2 the budget (the same)
insert into punctual.draft_days as d (day, reserved_usd, calls)
select (clock_timestamp() at time zone 'UTC')::date, $1::bigint / 1e9, 1
 where $1::bigint <= $2::bigint
on conflict (day) do update
   set reserved_usd = d.reserved_usd + excluded.reserved_usd, calls = d.calls + 1
 where d.spent_usd + d.reserved_usd + excluded.reserved_usd <= $2::bigint / 1e9
returning d.day::text as day
