-- $1 id
select m.id, m.status, m.to_number, m.scheduled_at, m.deferred_until, m.deferred_reason,
       m.next_attempt_at, m.requeued_at, m.send_before, m.sent_at, m.delivered_at, m.cancelled_at,
       m.cancel_reason, m.error_message, m.error_code, m.twilio_sid, m.attempts, m.max_attempts,
       m.version, m.in_doubt::text, m.body::text as text,
       greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
       greatest(m.scheduled_at, m.deferred_until, m.requeued_at) as wanted_at
  from public.scheduled_messages m
 where m.id = $1::uuid
