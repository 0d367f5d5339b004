-- Moves the row, which is held, to where the callback leads it.
-- $1 message  $2 status  $3 sid  $4 error  $5 the provider's code  $6 with status pending: how long
-- not to try (us)  $7 whether the attempt counts
update public.scheduled_messages m
   set status = $2, twilio_sid = case when $2 <> 'pending' then $3 end,
       error_message = $4, error_code = $5,
       attempts = greatest(m.attempts - (not $7::bool)::int, 0),
       sent_at = case when $2 = 'failed' then m.sent_at
                      when $2 <> 'pending' then coalesce(m.sent_at, clock_timestamp()) end,
       delivered_at = case when $2 = 'delivered' then clock_timestamp() end,
       next_attempt_at = clock_timestamp() + $6::bigint * interval '1 microsecond',
       cancelled_at = null, cancel_reason = null, updated_at = clock_timestamp()
 where m.id = $1::uuid
returning clock_timestamp() as now
