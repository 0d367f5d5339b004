-- How many pending messages are due after the window, counted up to a bound.
-- $1 until  $2 count at most
select count(*) as beyond
  from (select from public.scheduled_messages m
         where m.status = 'pending'
           and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) > $1::timestamptz
         limit $2) far
