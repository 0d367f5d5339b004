-- Records the results of look-ups, unless something else has happened to the attempt meanwhile: where nothing
-- is recorded, the look-up is repeated once its reservation is over.
-- $1 tokens  $2 reserved until  $3 responses so far  $4 pause until the next (us; null: none)  $5 results
-- $6 the present by a clock that follows no jump (null: by the database's)
with ask as (
  select * from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::bigint[], $5::text[])
             as a (token, held_until, lookups, pause_us, note)
), free as (
  select a.token
    from punctual.attempts a
    join ask on ask.token = a.token and ask.held_until = a.next_lookup_at
   order by a.token
     for no key update of a skip locked
)
update punctual.attempts a
   set lookups = ask.lookups, looked_up_at = coalesce($6::timestamptz, clock_timestamp()), lookup_note = ask.note,
       next_lookup_at = coalesce($6::timestamptz, clock_timestamp()) + ask.pause_us * interval '1 microsecond'
  from ask
 where a.token = any (array[ask.token]) and a.token in (select token from free)
