-- Gives a campaign its pace, with the seed of its plan. One that it has stays.
-- $1 campaign  $2 shortest gap  $3 longest (us)  $4 seed  $5 how many messages are planned before
insert into punctual.paces (scope, what, gap_min, gap_max, seed, position)
values ('campaign', $1::uuid::text, $2::bigint * interval '1 microsecond', $3::bigint * interval '1 microsecond',
        $4::bigint, $5::bigint)
on conflict (scope, what) do nothing
