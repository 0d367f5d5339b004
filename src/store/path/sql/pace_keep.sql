-- Sets the pace of a campaign, or changes its gaps: the slots that were taken stay as they are.
-- $1 campaign  $2 shortest gap (us)  $3 longest gap (us)
insert into punctual.paces as p (scope, what, gap_min, gap_max)
values ('campaign', $1::text, $2::bigint * interval '1 microsecond', $3::bigint * interval '1 microsecond')
on conflict (scope, what) do update
   set gap_min = excluded.gap_min, gap_max = excluded.gap_max, who = excluded.who, at = excluded.at
