-- A campaign is scheduled.
-- $1 id  $2 when its first message is due
update punctual.campaigns c
   set state = 'scheduled', first_at = least(c.first_at, $2::timestamptz)
 where c.id = $1::uuid
