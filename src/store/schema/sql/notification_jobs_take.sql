-- Has the deliveries of jobs sent that waited before the tables were followed.
-- $1 from after this key  $2 at most
select f.last_key, f.followed from punctual.take_notification_jobs($1::text, $2::int) f
