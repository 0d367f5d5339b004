-- Sets a pace, or changes it: the slots that were taken stay as they are, and the new gap follows the latest of them
-- (guard_pace in triggers/paces.sql).
-- $1 kind  $2 which one  $3 shortest gap, or the time of a segment (us)  $4 longest gap (us)  $5 segments at once
insert into punctual.paces as p (scope, what, gap_min, gap_max, burst)
values ($1::text, $2::text, $3::bigint * interval '1 microsecond', $4::bigint * interval '1 microsecond', $5::int)
on conflict (scope, what) do update
   set gap_min = excluded.gap_min, gap_max = excluded.gap_max, burst = excluded.burst, who = excluded.who, at = excluded.at
