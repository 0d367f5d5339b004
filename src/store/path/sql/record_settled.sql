-- ask ─▶ done ─┬─▶ moved
--              ├─▶ ledger ─▶ places
--              └─▶ reaped
-- Records every outcome that is not positive.
--
-- These are fenced: only the attempt that is in flight may move its row, and only out of `sending`. A locked
-- row is skipped and missing in the result; the caller tries it again.
-- $1 ids  $2 tokens  $3 status  $4 outcome  $5 code  $6 category  $7 reason
-- $8 pause before the next try (us; null: none), from $11 on, as that is by a clock that follows no jump  $9 whether it
-- counts as an attempt
-- $10 request started  $11 answer came  $12 deferred until, and then the reason is why
-- $13 when an uncertain outcome is first looked up (ms); $14 to whom, $15 from whom and
-- $16 with what text, by its SHA-256, that was sent, where it is known
-- $17 the text as it was sent or was to be  $18 which lawful hours it was judged by
with ask as materialized (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[],
                       $7::text[], $8::bigint[], $9::bool[], $10::timestamptz[], $11::timestamptz[],
                       $12::timestamptz[], $14::text[], $15::text[], $16::bytea[], $17::text[], $18::text[])
             as a (id, token, status, outcome, code, category, reason, pause_us, counts,
                   started_at, finished_at, deferred_until, lookup_to, lookup_from, lookup_text, body, lawful)
   order by a.id
), done as materialized (
  select ask.*, m.is_sending, m.body as row_body, m.lookup_to as row_to, m.lookup_from as row_from,
         m.lookup_text as row_text
    from ask
   cross join lateral (
     -- What to look up while the outcome is uncertain, as it was sent: the row may be edited once it is
     -- `unconfirmed`.
     select is_sending!(m) as is_sending, m.body, btrim(m.to_number, white!()) as lookup_to,
            nullif(btrim(m.from_number, white!()), '') as lookup_from,
            case when ask.outcome = 'unknown'
                 then coalesce(text_key!(ask), text_key!(m)) end as lookup_text
       from public.scheduled_messages m
      where m.id = ask.id
        for no key update skip locked) m
  union all
  select ask.*, null, null, null, null, null from ask
   where not exists (select from public.scheduled_messages m where m.id = any (array[ask.id]))
), ledger as (
  update punctual.attempts a
     set outcome = done.outcome, code = done.code, category = done.category, error = done.reason,
         started_at = done.started_at, finished_at = coalesce(done.finished_at, clock_timestamp()),
         -- For a row that is gone there is no look-up.
         next_lookup_at = case when done.row_text is not null
                            then coalesce(done.finished_at, clock_timestamp())
                                 + $13::bigint * interval '1 millisecond' end,
         lookup_to = case when done.row_text is not null then coalesce(done.lookup_to, done.row_to) end,
         lookup_from = case when done.row_text is not null then coalesce(done.lookup_from, done.row_from) end,
         lookup_text = case when done.row_text is not null
                         then coalesce(done.lookup_text, text_key!(a), done.row_text) end,
         -- Only what was rendered: the row has the rest.
         body = coalesce(nullif(done.body, done.row_body), a.body), lawful = done.lawful,
         -- What may have been sent keeps its quota of the user's day.
         quota_returned = a.day is not null and done.outcome <> 'unknown'
    from done
   where a.token = any (array[done.token]) and a.message_id = any (array[done.id]) and is_open!(a)
  returning a.token, a.user_id, a.day, a.quota_returned
), places as (
  -- Only once, because the attempt was open until now.
  return_quota!()
), reaped as (
  -- Recorded as unknown meanwhile, by an instance that took this one for dead. That its request did begin is
  -- recorded nonetheless: what never began may be sent.
  update punctual.attempts a
     set started_at = done.started_at
    from done
   where a.token = any (array[done.token]) and a.message_id = any (array[done.id]) and a.outcome = 'unknown'
     and a.started_at is null and done.started_at is not null
), moved as (
  update public.scheduled_messages m
     set status = done.status,
         attempts = greatest(m.attempts - (not done.counts)::int, 0),
         -- A part that was not the first keeps the gap.
         next_attempt_at = case when done.status = 'pending'
                                then coalesce(coalesce(done.finished_at, clock_timestamp())
                                              + done.pause_us * interval '1 microsecond',
                                              case when m.parts_done > 0 then m.next_attempt_at end) end,
         error_message = case when done.status in ('failed', 'unconfirmed') then done.reason
                              when done.deferred_until is not null then m.error_message
                              when done.status = 'pending' then coalesce(done.reason, m.error_message)
                              -- Why the policy judged again: the last refusal is kept beside the verdict.
                              when done.status = 'cancelled' then m.error_message end,
         error_code = case when done.status = 'cancelled' or done.deferred_until is not null
                           then m.error_code else done.code end,
         deferred_until = coalesce(done.deferred_until, m.deferred_until),
         deferred_reason = case when done.deferred_until is not null then done.reason
                                else m.deferred_reason end,
         cancel_reason = case when done.status = 'cancelled' then done.reason end,
         cancelled_at = case when done.status = 'cancelled' then clock_timestamp() end,
         updated_at = clock_timestamp()
    from done
   where m.id = any (array[done.id]) and is_sending!(m)
     and exists (select from punctual.attempts a
                  where a.token = done.token and a.message_id = any (array[done.id]) and is_open!(a))
  returning done.token, m.status, m.version, m.attempts, m.priority, m.channel, m.account,
            lane_address!(m) as lane_address,
            due!(m) as due
)
select token, status::text, version::bigint, attempts::int, due, priority::text, channel::text, account::text,
       lane_address, true as has_effect
  from moved
union all
-- Without effect: a trigger of the app's returned null.
select token, null, null, null, null, null, null, null, null,
       not (coalesce(is_sending, false) and token in (select token from ledger)
            and token not in (select token from moved))
  from done
