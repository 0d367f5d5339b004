-- Changes an unconfirmed row, which is locked, by a manual decision. For a message that is to be sent again,
-- lateness counts from now. Of a message of several parts it was a part that was sent: the next one is due.
-- $1 id  $2 status  $3 sid  $4 a sentence
update public.scheduled_messages m
   set status = case when p.goes_on then 'pending' else $2::text end,
       parts_done = case when m.parts_total > 1 and $2::text = 'sent' then m.parts_done + 1 else m.parts_done end,
       attempts = case when p.goes_on then 0 else m.attempts end,
       twilio_sid = case when $2::text = 'sent' and not p.goes_on then $3::text end,
       sent_at = case when $2::text = 'sent' and not p.goes_on then clock_timestamp() end,
       error_message = case when $2::text <> 'sent' then $4::text end,
       error_code = null,
       cancel_reason = case when $2::text = 'cancelled' then $4::text end,
       cancelled_at = case when $2::text = 'cancelled' then clock_timestamp() end,
       requeued_at = case when $2::text = 'pending' then clock_timestamp() else m.requeued_at end,
       next_attempt_at = case when p.goes_on then clock_timestamp() end, updated_at = clock_timestamp()
  from (select m.parts_done + 1 < coalesce(m.parts_total, 1) and $2::text = 'sent' as goes_on
          from public.scheduled_messages m where m.id = $1::uuid) p
 where m.id = $1::uuid and is_unconfirmed!(m)
returning clock_timestamp() as now, p.goes_on
