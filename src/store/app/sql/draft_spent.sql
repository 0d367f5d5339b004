-- What today (UTC) has cost, and what is reserved, in billionths of a USD.
select (coalesce(max(d.spent_usd), 0) * 1e9)::bigint as spent, (coalesce(max(d.reserved_usd), 0) * 1e9)::bigint as reserved
  from punctual.draft_days d
 where d.day = (clock_timestamp() at time zone 'UTC')::date
