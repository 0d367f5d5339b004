-- How many texts users have been sent on a day of theirs, and how many more are pending.
-- $1 users  $2 dates  $3 starts of these days  $4 their ends
select t.user_id, coalesce(c.count, 0)::bigint as used, coalesce(w.waiting, 0)::bigint as waiting
  from unnest($1::uuid[], $2::text[]) as t (user_id, day)
  left join punctual.daily_counts c on c.user_id = any (array[t.user_id]) and c.day = any (array[t.day::date])
  left join punctual.planner_waiting($1, $3::timestamptz[], $4::timestamptz[]) w on w.user_id = t.user_id
