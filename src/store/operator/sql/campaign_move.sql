-- Moves pending messages, each to a time of its own.
-- $1 ids  $2 times
update public.scheduled_messages m
   set scheduled_at = n.at
  from unnest($1::uuid[], $2::timestamptz[]) as n (id, at)
 where m.id = any (array[n.id]) and is_pending!(m)
