-- How many pending messages are due after the window, counted up to a bound.
-- $1 until  $2 count at most
select count(*) as beyond
  from (select from public.scheduled_messages m
         where m.status = 'pending'
           and due!(m) > $1::timestamptz
         limit $2) far
