-- When the next user is to be planned; at once, where changes were noted. Null: nobody is.
select least((select u.at from punctual.planner_users u order by u.at limit 1),
             (select '-infinity'::timestamptz from punctual.planner_changes limit 1)) as at
