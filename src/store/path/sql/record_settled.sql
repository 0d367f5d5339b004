-- Records every outcome that is not positive. These are fenced: only the attempt that is in
-- flight may move its row, and only out of `sending`. A row somebody holds is skipped and
-- missing from the answer; the caller comes back to it.
-- $1 ids  $2 tokens  $3 status  $4 outcome  $5 code  $6 category  $7 reason
-- $8 pause before the next try (us; null: none)  $9 whether it counts as an attempt
-- $10 request started  $11 answer came  $12 deferred until, and then the reason is why
-- $13 when the provider is asked first about what is in doubt (ms); $14 to whom, $15 from whom and
-- $16 with what text, by its SHA-256, that was sent, where it is known
-- $17 the text as it was sent or was to be
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[],
                       $7::text[], $8::bigint[], $9::bool[], $10::timestamptz[], $11::timestamptz[],
                       $12::timestamptz[], $14::text[], $15::text[], $16::bytea[], $17::text[])
             as a (id, token, status, outcome, code, category, reason, pause_us, counts,
                   started_at, finished_at, deferred_until, sought_to, sought_from, sought_text, body)
), free as (
  select ask.*, m.body as row_body
    from ask
    join public.scheduled_messages m on m.id = ask.id
   order by m.id
     for no key update of m skip locked
), gone as (
  select ask.*, null::text from ask
   where not exists (select from public.scheduled_messages m where m.id = ask.id)
), doubtful as (
  -- What is to be looked for, as it was sent: the row may be edited once it is `unconfirmed`.
  select free.token, coalesce(free.sought_to, btrim(m.to_number)) as sought_to,
         coalesce(free.sought_from, nullif(btrim(m.from_number), '')) as sought_from,
         coalesce(free.sought_text,
                  sha256(convert_to(btrim(coalesce(free.body, m.body), E' \t\r\n'), 'UTF8'))) as sought_text
    from free
    join public.scheduled_messages m on m.id = free.id
   where free.outcome = 'unknown'
), ledger as (
  update punctual.attempts a
     set outcome = done.outcome, code = done.code, category = done.category, error = done.reason,
         started_at = done.started_at, finished_at = coalesce(done.finished_at, clock_timestamp()),
         next_ask_at = case when doubtful.token is not null
                            then clock_timestamp() + $13::bigint * interval '1 millisecond' end,
         sought_to = doubtful.sought_to, sought_from = doubtful.sought_from,
         sought_text = doubtful.sought_text,
         -- Only what was rendered: the row has the rest.
         body = nullif(done.body, done.row_body),
         -- What may have been sent keeps its place in the user's day.
         gave_back = a.day is not null and done.outcome <> 'unknown'
    from (select * from free union all select * from gone) done
    left join doubtful on doubtful.token = done.token
   where a.token = done.token and a.message_id = done.id and a.outcome is null
  returning a.user_id, a.day, a.gave_back
), places as (
  -- In the order of the claims. Once, for the attempt was open until now.
  insert into punctual.daily_counts as c (user_id, day, count)
  select l.user_id, l.day, 0 from ledger l where l.gave_back group by l.user_id, l.day order by l.user_id, l.day
  on conflict (user_id, day) do update
     set count = greatest(c.count - (select count(*) from ledger l
                                      where l.gave_back and l.user_id = c.user_id and l.day = c.day)::int, 0)
), reaped as (
  -- Called unknown meanwhile, by whoever took this instance for dead. That its request did begin
  -- is to stand there all the same: what never began may be sent.
  update punctual.attempts a
     set started_at = done.started_at
    from (select * from free union all select * from gone) done
   where a.token = done.token and a.message_id = done.id and a.outcome = 'unknown'
     and a.started_at is null and done.started_at is not null
), moved as (
  update public.scheduled_messages m
     set status = free.status,
         attempts = greatest(m.attempts - (not free.counts)::int, 0),
         next_attempt_at = case when free.status = 'pending'
                                then clock_timestamp() + free.pause_us * interval '1 microsecond' end,
         error_message = case when free.status in ('failed', 'unconfirmed') then free.reason
                              when free.deferred_until is not null then m.error_message
                              when free.status = 'pending' then coalesce(free.reason, m.error_message)
                              -- Why it came to that: the last refusal stays beside the verdict.
                              when free.status = 'cancelled' then m.error_message end,
         error_code = case when free.status = 'cancelled' or free.deferred_until is not null
                           then m.error_code else free.code end,
         deferred_until = coalesce(free.deferred_until, m.deferred_until),
         deferred_reason = case when free.deferred_until is not null then free.reason
                                else m.deferred_reason end,
         cancel_reason = case when free.status = 'cancelled' then free.reason end,
         cancelled_at = case when free.status = 'cancelled' then clock_timestamp() end,
         updated_at = clock_timestamp()
    from free
   where m.id = free.id and m.status = 'sending'
     and exists (select from punctual.attempts a
                  where a.token = free.token and a.message_id = m.id and a.outcome is null)
  returning free.token, m.status, m.version, m.attempts, m.priority,
            due!(m) as due
)
select token, status::text, version::bigint, attempts::int, due, priority::text from moved
union all
select token, null, null, null, null, null from free
union all
select token, null, null, null, null, null from gone
