-- Ends a pause. Its row stays for a while: the lateness of what it stopped counts from here.
-- $1 scope  $2 which one
update punctual.pauses p
   set until = clock_timestamp()
 where p.scope = $1::text and p.what = $2::text and p.until > clock_timestamp()
