-- Moves rows, which are locked, to the statuses that follow from reports.
-- $1 messages  $2 statuses  $3 sids  $4 errors  $5 the provider's codes  $6 with status pending: how long
-- not to try (us)  $7 attempts that do not count  $8 of a message of several parts: how many are accepted (null: as it
-- was)  $9 and tries at the one that is next  $10 the present by a clock that follows no jump (null: by the
-- database's)
with move as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::int[], $8::int[],
                       $9::int[])
             as t (id, status, sid, error, code, pause_us, uncounted, parts_done, attempts)
)
update public.scheduled_messages m
   set status = move.status,
       twilio_sid = case when move.status not in ('pending', 'cancelled') then move.sid end,
       -- One that has ended stays so, where only a part of it turns out to be accepted.
       error_message = case when m.status = 'failed' and move.status = 'failed' then m.error_message else move.error end,
       error_code = case when m.status = 'failed' and move.status = 'failed' then m.error_code else move.code end,
       attempts = coalesce(move.attempts, greatest(m.attempts - move.uncounted, 0)),
       parts_done = coalesce(move.parts_done, m.parts_done),
       sent_at = case when move.status = 'failed' then m.sent_at
                      when move.status in ('sent', 'delivered') then coalesce(m.sent_at, $10::timestamptz, clock_timestamp()) end,
       delivered_at = case when move.status = 'delivered' then coalesce($10::timestamptz, clock_timestamp()) end,
       next_attempt_at = coalesce($10::timestamptz, clock_timestamp()) + move.pause_us * interval '1 microsecond',
       cancelled_at = case when move.status = 'cancelled' then m.cancelled_at end,
       cancel_reason = case when move.status = 'cancelled' then m.cancel_reason end, updated_at = clock_timestamp()
  from move
 where m.id = any (array[move.id])
returning m.id, coalesce($10::timestamptz, clock_timestamp()) as now
