-- Makes a campaign, a draft. No row: there is one of this name.
-- $1 name  $2 zone  $3 hours, and these as ranges: $4 from  $5 until  $6 shortest gap  $7 longest (us)
-- $8 longer gaps of 1,000, and by how much: $9 the least  $10 the most (us)  $11 sender  $12 seed
-- $13 who makes it  $14 whether it stops at a reply
insert into punctual.campaigns (name, timezone, hours, open_from, open_until, gap_min, gap_max, skip_per_mille, skip_min,
                                skip_max, from_number, seed, created_by, stop_on_reply)
values ($1::text, $2::text, $3::text, $4::bigint[], $5::bigint[], $6::bigint * interval '1 microsecond',
        $7::bigint * interval '1 microsecond', $8::int, $9::bigint * interval '1 microsecond',
        $10::bigint * interval '1 microsecond', $11::text, $12::bigint, $13::text, $14::bool)
on conflict (name) do nothing
returning id
