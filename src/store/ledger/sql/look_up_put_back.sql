-- unconfirmed -> pending, by a policy that permits it: only the attempt that left the row unconfirmed, only
-- while attempts and time are left. The attempt itself stays uncertain. A locked row is skipped, and tried
-- again at the next look-up. Other instances are notified, unless the queue of notifications is nearly full;
-- then the sweeps find it.
-- $1 messages  $2 tokens  $3 policies  $4 sentences  $5 max lateness (us)
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as a (id, token, policy, sentence)
), free as (
  select m.id
    from public.scheduled_messages m
   where m.id = any ($1::uuid[]) and is_unconfirmed!(m) and m.attempts < coalesce(m.max_attempts, 3)
     and clock_timestamp() <= least(
           wanted_at!(m) + $5::bigint * interval '1 microsecond',
           m.send_before)
   order by m.id
     for no key update skip locked
), ledger as (
  update punctual.attempts a
     set settled_by = ask.policy, settled_at = clock_timestamp()
    from ask
    join free on free.id = ask.id
   where a.token = ask.token and a.message_id = ask.id and a.outcome = 'unknown'
     and a.settled_by is null
     and a.number = (select max(b.number) from punctual.attempts b where b.message_id = ask.id)
  returning a.message_id, ask.sentence
), moved as (
  update public.scheduled_messages m
     set status = 'pending', next_attempt_at = null, error_message = ledger.sentence,
         updated_at = clock_timestamp()
    from ledger
   where m.id = ledger.message_id and is_unconfirmed!(m)
  returning m.id
)
select id,
       case when pg_notification_queue_usage() < 0.9 then pg_notify('punctual', 'ids ' || id)::text end
  from moved
