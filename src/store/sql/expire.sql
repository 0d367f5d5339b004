-- Cancels what is later than is allowed, in bulk, so that a first start on an old table neither
-- texts the past nor claims it row by row. What is claimed meanwhile is judged there.
-- $1 max lateness (us)  $2 rows at most
with late as (
  select m.id
    from public.scheduled_messages m
   where m.status = 'pending'
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
         < clock_timestamp() - $1::bigint * interval '1 microsecond'
     and greatest(m.scheduled_at, m.deferred_until, m.requeued_at)
         < clock_timestamp() - $1::bigint * interval '1 microsecond'
   order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
   limit $2
), free as (
  select m.id
    from public.scheduled_messages m
   where m.id in (select id from late) and m.status = 'pending'
   order by m.id
     for no key update skip locked
)
update public.scheduled_messages m
   set status = 'cancelled', cancelled_at = clock_timestamp(), updated_at = clock_timestamp(),
       -- A time can be -infinity, which is not to be subtracted from.
       cancel_reason = case
         when isfinite(greatest(m.scheduled_at, m.deferred_until, m.requeued_at)) then
           format('too late: %s s after its time, more than the %s s allowed',
             floor(extract(epoch from clock_timestamp() - greatest(m.scheduled_at, m.deferred_until, m.requeued_at))),
             $1::bigint / 1000000)
         else format('too late: its time is -infinity, more than the %s s allowed', $1::bigint / 1000000)
       end
  from free
 where m.id = free.id
