-- Ends a pause. Its row stays for a while: the lateness of what it stopped counts from here.
-- $1 scope  $2 which one  $3 who, for the history; null: whoever this session says, or its role
with actor as materialized (
  select set_config('punctual.actor', coalesce($3::text, current_setting('punctual.actor', true), ''), true)
)
update punctual.pauses p
   set until = clock_timestamp()
  from actor
 where p.scope = $1::text and p.what = $2::text and p.until > clock_timestamp()
