-- How many pending messages are due in the window, and how many after it, each counted up to a bound: all of them, also
-- those that are paused or wait for their pace.
-- $1 the end of the window  $2 count at most
select (select count(*)
          from (select from public.scheduled_messages m
                 where m.status = 'pending' and due!(m) <= $1::timestamptz
                 limit $2) near) as within,
       (select count(*)
          from (select from public.scheduled_messages m
                 where m.status = 'pending' and due!(m) > $1::timestamptz
                 limit $2) far) as beyond
