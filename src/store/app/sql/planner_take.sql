-- Users whose day is to be planned by now, locked: another instance takes others.
-- $1 now  $2 most
select u.user_id from punctual.planner_users u
 where u.at <= $1
 order by u.at, u.user_id
 limit $2
   for update skip locked
