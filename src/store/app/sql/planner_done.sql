-- When the days of users are planned next. Who has none is looked at again when a preference changes.
-- $1 users  $2 when (null: they have none)
with wanted as materialized (
  select t.user_id, t.at from unnest($1::uuid[], $2::timestamptz[]) as t (user_id, at)
), over as (
  delete from punctual.planner_users u using wanted w where u.user_id = any (array[w.user_id]) and w.at is null
)
update punctual.planner_users u set at = w.at from wanted w where u.user_id = any (array[w.user_id]) and w.at is not null
