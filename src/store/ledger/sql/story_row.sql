-- The row of a message, for its history, with what the claim would read with it.
-- $1 id
select m.id, m.status, m.channel::text, m.to_number, m.scheduled_at, m.deferred_until, m.deferred_reason,
       m.next_attempt_at, m.requeued_at, m.send_before, m.sent_at, m.delivered_at, m.cancelled_at,
       m.cancel_reason, m.error_message, m.error_code, m.twilio_sid, m.attempts, m.max_attempts,
       m.version, m.in_doubt::text, coalesce(a.body, m.body)::text as text,
       m.timezone::text as timezone, p.timezone as their_timezone,
       due!(m) as due,
       wanted_at!(m) as wanted_at
  from public.scheduled_messages m
  -- The last rendered text is, or was, sent in place of the body.
  left join lateral (select body from punctual.attempts
                      where message_id = m.id and body is not null
                      order by number desc limit 1) a on true
  left join lateral (select (f.facts).timezone
                       from punctual.facts_of(array[m.id], array[m.id], array[m.user_id],
                                              array[m.calendar_event_id::text]) f) p on true
 where m.id = $1::uuid
