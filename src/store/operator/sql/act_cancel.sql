-- Cancels messages for an operator. Skipped are those that another transaction holds, as a claim does, and those that
-- are not pending.
-- $1 ids  $2 the reason
with mine as materialized (
  select m.id from public.scheduled_messages m
   where m.id = any ($1::uuid[]) and is_pending!(m)
   order by m.id
     for no key update skip locked)
update public.scheduled_messages m
   set status = 'cancelled', cancel_reason = $2::text
  from mine
 where m.id = any (array[mine.id])
