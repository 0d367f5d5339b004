-- What this installation's settings are; whoever started last is right.
-- $1 zone  $2 business hours as they were written  $3 when the week opens (us from Monday 00:00)
-- $4 when it closes
insert into punctual.settings as s (timezone, business_hours, open_from, open_until)
values ($1::text, $2::text, $3::bigint[], $4::bigint[])
on conflict (one) do update
   set timezone = excluded.timezone, business_hours = excluded.business_hours,
       open_from = excluded.open_from, open_until = excluded.open_until, updated_at = clock_timestamp()
