-- Moves rows, which are locked, to the statuses that follow from reports.
-- $1 messages  $2 statuses  $3 sids  $4 errors  $5 the provider's codes  $6 with status pending: how long
-- not to try (us)  $7 attempts that do not count
with move as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::int[])
             as t (id, status, sid, error, code, pause_us, uncounted)
)
update public.scheduled_messages m
   set status = move.status, twilio_sid = case when move.status <> 'pending' then move.sid end,
       error_message = move.error, error_code = move.code,
       attempts = greatest(m.attempts - move.uncounted, 0),
       sent_at = case when move.status = 'failed' then m.sent_at
                      when move.status <> 'pending' then coalesce(m.sent_at, clock_timestamp()) end,
       delivered_at = case when move.status = 'delivered' then clock_timestamp() end,
       next_attempt_at = clock_timestamp() + move.pause_us * interval '1 microsecond',
       cancelled_at = null, cancel_reason = null, updated_at = clock_timestamp()
  from move
 where m.id = move.id
returning m.id, clock_timestamp() as now
