-- unconfirmed -> pending, by a policy that permits it: only the attempt that left the row in
-- doubt, only while attempts and time are left. The attempt itself stays in doubt. A row that
-- somebody holds is skipped, and tried again at the next look. Other instances are told, unless
-- the queue of notices is nearly full; then the sweeps find it.
-- $1 message  $2 token  $3 the policy  $4 a sentence  $5 max lateness (us)
with held as (
  select m.id
    from public.scheduled_messages m
   where m.id = $1::uuid and is_unconfirmed!(m) and m.attempts < coalesce(m.max_attempts, 3)
     and clock_timestamp() <= least(
           wanted_at!(m) + $5::bigint * interval '1 microsecond',
           m.send_before)
     for no key update skip locked
), ledger as (
  update punctual.attempts a
     set settled_by = $3, settled_at = clock_timestamp()
    from held
   where a.token = $2::uuid and a.message_id = held.id and a.outcome = 'unknown'
     and a.settled_by is null
     and a.number = (select max(b.number) from punctual.attempts b where b.message_id = held.id)
  returning a.message_id
), moved as (
  update public.scheduled_messages m
     set status = 'pending', next_attempt_at = null, error_message = $4, updated_at = clock_timestamp()
    from ledger
   where m.id = ledger.message_id and is_unconfirmed!(m)
  returning m.id
)
select case when pg_notification_queue_usage() < 0.9 then pg_notify('punctual', 'ids ' || id)::text end
  from moved
