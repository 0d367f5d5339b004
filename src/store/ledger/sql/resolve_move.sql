-- Changes an unconfirmed row, which is locked, by a manual decision. For a message that is to be sent again,
-- lateness counts from now.
-- $1 id  $2 status  $3 sid  $4 a sentence
update public.scheduled_messages m
   set status = $2::text,
       twilio_sid = case when $2::text = 'sent' then $3::text end,
       sent_at = case when $2::text = 'sent' then clock_timestamp() end,
       error_message = case when $2::text <> 'sent' then $4::text end,
       error_code = null,
       cancel_reason = case when $2::text = 'cancelled' then $4::text end,
       cancelled_at = case when $2::text = 'cancelled' then clock_timestamp() end,
       requeued_at = case when $2::text = 'pending' then clock_timestamp() else m.requeued_at end,
       next_attempt_at = null, updated_at = clock_timestamp()
 where m.id = $1::uuid and is_unconfirmed!(m)
returning clock_timestamp() as now
