-- Has the days of users be planned again that changes were noted of.
-- $1 now  $2 most
with seen as (
  delete from punctual.planner_changes c
   where c.id = any (array(select o.id from punctual.planner_changes o order by o.id limit $2))
  returning c.user_id
)
insert into punctual.planner_users as u (user_id, at)
select distinct s.user_id, $1::timestamptz from seen s order by 1
on conflict (user_id) do update set at = least(u.at, excluded.at)
