-- Of what is held, the rows that were written after the hold: nothing was sent of them before it.
-- $1 held before  $2 written after this  $3 rows at most
select m.id
  from public.scheduled_messages m
 where m.status = 'pending'
   and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < $1::timestamptz
   and greatest(m.created_at, m.requeued_at) > $2::timestamptz
 order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
 limit $3
