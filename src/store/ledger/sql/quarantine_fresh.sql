-- Of the rows that are in quarantine by their due time, those that are exempt: cleared, by any instance, or
-- written after the quarantine began.
-- $1 due before  $2 written after this  $3 rows at most
select m.id
  from public.scheduled_messages m
 where m.status = 'pending'
   and due!(m) < $1::timestamptz
   and (greatest(m.created_at, m.requeued_at) > $2::timestamptz
        or exists (select from punctual.quarantine_cleared c where c.message_id = m.id))
 order by due!(m)
 limit $3
