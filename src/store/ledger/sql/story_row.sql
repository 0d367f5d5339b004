-- The row of a message, for its history, with what the claim would read with it.
-- $1 id  $2 the sender for rows that name none
select m.id, m.status, m.channel::text, m.to_number, m.scheduled_at,
       -- What a pause of its text holds has no time yet: the pause says why.
       nullif(m.deferred_until, 'infinity') as deferred_until,
       case when m.deferred_until < 'infinity' then m.deferred_reason end as deferred_reason,
       m.next_attempt_at, m.requeued_at, m.send_before, m.sent_at, m.delivered_at, m.cancelled_at,
       m.cancel_reason, m.error_message, m.error_code, m.twilio_sid, m.attempts, m.max_attempts,
       m.version, m.in_doubt::text, coalesce(a.body, m.body)::text as text,
       -- Of a message of several parts: how many were sent, and the texts that were kept; before the first of them the
       -- text is divided as the running daemon would.
       m.parts_done::smallint, coalesce(m.parts_total, 1)::smallint as parts_total,
       case when m.parts_total > 1 then kept_texts!(m) end as texts,
       separator!() as separator,
       m.timezone::text as timezone, p.timezone as their_timezone,
       due!(m) as due,
       -- A pause that ended after its request began is one that did not stop it.
       greatest(wanted_at!(m), case when paused.until is not null and (first.began is null or paused.until <= first.began)
                                    then least(paused.until, clock_timestamp()) end) as wanted_at,
       case when m.status = 'pending' then paused_by!(m) end as paused_by,
       pace.scopes as pace_scopes, pace.whats as pace_whats
  from public.scheduled_messages m
 cross join (select $2::text as sender, account_senders!() as senders) ours
 cross join lateral (select paused_until!(m) as until offset 0) paused
 cross join lateral (select min(a.started_at) as began from punctual.attempts a where a.message_id = m.id) first
  -- The last rendered text is, or was, sent in place of the body.
  left join lateral (select body from punctual.attempts
                      where message_id = m.id and body is not null
                      order by number desc limit 1) a on true
  left join lateral (select coalesce(nullif(btrim((f.facts).timezone, white!()), ''), (f.facts).account_timezone) as timezone
                       from punctual.facts_of(array[m.id], array[m.id], array[m.user_id],
                                              array[m.calendar_event_id::text]) f) p on true
  left join lateral (
    select array_agg(own.scope order by own.scope) as scopes, array_agg(own.what order by own.scope) as whats
      from (values ('campaign', m.campaign_id::text), ('sender', case when is_text!(m) then sender!(m) end))
        as key (scope, what)
      join punctual.paces own on own.scope = any (array[key.scope]) and own.what = any (array[key.what])) pace on true
 where m.id = $1::uuid
