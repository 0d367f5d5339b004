-- What a call has cost takes the place of what was reserved for it. One whose instance died keeps its reservation.
-- $1 the day  $2 what was reserved  $3 what it cost (billionths of a USD)
update punctual.draft_days d
   set reserved_usd = greatest(d.reserved_usd - $2::bigint / 1e9, 0), spent_usd = d.spent_usd + $3::bigint / 1e9
 where d.day = $1::text::date
