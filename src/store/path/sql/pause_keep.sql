-- Pauses something, or changes how long and why it is paused.
-- $1 scope  $2 which one  $3 until  $4 why
insert into punctual.pauses as p (scope, what, until, why)
values ($1::text, $2::text, $3::timestamptz, $4::text)
on conflict (scope, what) do update
   set until = excluded.until, why = excluded.why, who = excluded.who, at = excluded.at
returning scope, what, until, why, who, at
