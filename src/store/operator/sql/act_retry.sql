-- Sets failed messages back to pending for an operator. Skipped are those that another transaction holds, those that
-- have not failed, and those that may have been accepted: an attempt without a known outcome, settled by a person or
-- not, or one that the provider accepted and has not reported as undelivered. Of a message of several parts, those that
-- were sent stay sent: the first that was not is the next, and the message keeps its time.
-- $1 ids  $2 due at; null: now
with mine as materialized (
  select m.id from public.scheduled_messages m
   where m.id = any ($1::uuid[]) and m.status || '' = 'failed'
     and (m.parts_total is null or m.parts_done < m.parts_total)
     and not exists (select from punctual.attempts a
                      where a.message_id = m.id
                        and (a.outcome is null or a.outcome = 'unknown'
                             or a.outcome = 'accepted' and a.part >= m.parts_done and not undelivered!(a)))
     -- The app's sender may have sent it.
     and not exists (select from punctual.source_rows r where r.message_id = m.id and r.taken)
   order by m.id
     for no key update of m skip locked)
update public.scheduled_messages m
   set status = 'pending',
       scheduled_at = case when m.parts_done = 0 then coalesce($2::timestamptz, clock_timestamp()) else m.scheduled_at end
  from mine
 where m.id = any (array[mine.id])
