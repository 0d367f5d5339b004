-- Claims messages: pending -> sending, under the token the caller drew for each, with a lease.
-- The database judges the time. A row that somebody holds is skipped, never waited for, and
-- rows are locked in id order, so a claim can take no part in a deadlock. What goes to somebody
-- who has opted out is cancelled instead, and so not won.
-- Types are said here and below: a prepared statement does not survive a change of its result,
-- and the app may alter text to varchar under a running daemon.
-- $1 ids  $2 tokens, one each  $3 instance  $4 lease (ms)  $5 how long before due (us)
-- $6 who sends where a row names nobody
with free as (
  select m.id, ask.token,
         (select s.reason from punctual.suppressions s
           where s.their_number = btrim(m.to_number)
             and (s.our_number is null
                  or s.our_number = coalesce(nullif(btrim(m.from_number), ''), $6::text))
           limit 1) as opted_out
    from unnest($1::uuid[], $2::uuid[]) as ask (id, token)
    join public.scheduled_messages m on m.id = ask.id
   where m.status = 'pending'
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
         <= clock_timestamp() + $5::bigint * interval '1 microsecond'
   order by m.id
     for no key update of m skip locked
), unwanted as (
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = free.opted_out, cancelled_at = clock_timestamp(),
         updated_at = clock_timestamp()
    from free
   where m.id = free.id and free.opted_out is not null
), won as (
  update public.scheduled_messages m
     set status = 'sending', attempts = m.attempts + 1, updated_at = clock_timestamp()
    from free
   where m.id = free.id and free.opted_out is null
  returning m.id, free.token, m.attempts, m.max_attempts, m.to_number, m.from_number, m.body,
            m.send_before,
            greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
            greatest(m.scheduled_at, m.deferred_until, m.requeued_at) as wanted_at,
            1 + coalesce((select max(a.number) from punctual.attempts a where a.message_id = m.id), 0)
              as number
), ledger as (
  insert into punctual.attempts (token, message_id, number, instance, lease_until)
  select token, id, number, $3::uuid, clock_timestamp() + $4::bigint * interval '1 millisecond'
    from won
)
select id, token, number, (attempts - 1)::int as attempts_before,
       coalesce(max_attempts, 3)::int as max_attempts, due, wanted_at, send_before,
       to_number::text, from_number::text, body::text, clock_timestamp() as now
  from won
