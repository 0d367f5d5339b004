-- Of what is held, the rows that were written after the hold: nothing was sent of them before it.
-- $1 held before  $2 written after this  $3 rows at most
select m.id
  from public.scheduled_messages m
 where m.status = 'pending'
   and due!(m) < $1::timestamptz
   and greatest(m.created_at, m.requeued_at) > $2::timestamptz
 order by due!(m)
 limit $3
