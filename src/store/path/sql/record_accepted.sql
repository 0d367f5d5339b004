-- free ─┬─▶ ledger ─▶ moved ─▶ uses, (the app's rows)
--       └─▶ overtaken ─▶ uses, (the app's rows)
-- Merges positive outcomes, whatever status the rows have by now: a provider's sid is proof, and proof is never
-- fenced.
--
-- Repeating it changes nothing, and neither does it after a callback that came first: where the ledger has the
-- proof, the row may have moved on. A locked row is skipped and missing in the result; the caller tries it
-- again. record_lost.sql handles what has no row or attempt. A sid that another attempt has already (from a
-- test double that knows only one) is still proof; the ledger, which finds attempts by it, keeps it with the
-- first. Of a message of several parts, the part that is next is accepted: the row is pending until the one after it,
-- and sent with the last; one that has ended meanwhile stays so.
-- $1 ids  $2 tokens  $3 sids  $4 request started  $5 response received  $6 when the message is looked up if
-- nothing more is reported (ms; null: never)  $7 the text as it was sent  $8 from whom, $9 to whom
-- $10 the version of the row that it proves something about (null: any)  $11 how many parts come before it
-- $12 of how many  $13 from its acceptance to the next part (us)  $14 what the law permitted it by
with free as materialized (
  select ask.*, m.row_body, m.template_id, at.part >= m.parts_done as is_next, at.part + 1 as accepted,
         at.is_last, case when at.is_last then 'sent' when m.status in ('failed', 'cancelled') then m.status
                          else 'pending' end as status,
         a.body as kept, coalesce(ask.finished_at, clock_timestamp()) as ended_at,
         -- With what the ledger has of each when this statement begins.
         provable!(m) as may_move, a.message_id as of, a.outcome as stood, a.started_at as begun,
         row_number() over (partition by ask.sid order by ask.token) > 1
         or exists (select from punctual.attempts o
                     where o.provider_sid = ask.sid and o.token <> ask.token) as twice
    from (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                               $7::text[], $8::text[], $9::text[], $10::bigint[], $11::smallint[], $12::smallint[],
                               $13::bigint[], $14::text[])
                     as a (id, token, sid, started_at, finished_at, body, sent_from, sent_to, version,
                           part, parts, gap_us, lawful)
           order by a.id) ask
   cross join lateral (
     select m.status, m.parts_done, m.parts_total, m.body as row_body,
            case when m.template_vars is not null then m.template_id end as template_id
       from public.scheduled_messages m
      where m.id = ask.id and (ask.version is null or m.version = ask.version)
        for no key update skip locked) m
    left join lateral (
     select a.message_id, a.outcome, a.started_at, a.part, a.body
       from punctual.attempts a where a.token = ask.token) a on true
   cross join lateral (
     select p.part, p.part + 1 >= coalesce(m.parts_total, ask.parts) as is_last
       from (select case when a.message_id = ask.id then a.part else ask.part end as part) p) at
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = case when not free.twice then free.sid end,
         started_at = free.started_at, finished_at = free.finished_at,
         code = null, category = null, lookups = 0,
         next_lookup_at = case when not free.twice then free.ended_at + $6::bigint * interval '1 millisecond' end,
         lookup_to = null, lookup_from = null, lookup_text = null, lawful = coalesce(free.lawful, a.lawful),
         body = coalesce(nullif(free.body, free.row_body), a.body),
         error = case when free.twice then 'the provider gave this sid to another attempt as well' end
    from free
   where a.token = any (array[free.token]) and a.message_id = any (array[free.id]) and a.outcome is distinct from 'accepted'
  returning a.token, doubled!(a) as doubled
), overtaken as (
  update punctual.attempts a
     set started_at = free.started_at, finished_at = free.finished_at, lawful = coalesce(free.lawful, a.lawful),
         body = coalesce(nullif(free.body, free.row_body), a.body)
    from free
   where free.stood = 'accepted' and free.begun is null
     and a.token = any (array[free.token]) and a.message_id = any (array[free.id]) and a.outcome = 'accepted'
     and a.started_at is null
  returning a.token, free.sid, free.body, free.row_body
), moved as (
  update public.scheduled_messages m
     set status = proven.status,
         parts_done = case when proven.accepted > 1 or not proven.is_last then proven.accepted else 0 end,
         parts_total = coalesce(m.parts_total, case when proven.parts > 1 then proven.parts end),
         sent_at = case when proven.is_last then proven.finished_at end,
         twilio_sid = case when proven.is_last then proven.sid end,
         attempts = case when proven.is_last then m.attempts else 0 end,
         next_attempt_at = case when proven.status = 'pending'
                                then proven.ended_at + proven.gap_us * interval '1 microsecond' end,
         error_message = case when proven.status = 'failed' then m.error_message end,
         error_code = case when proven.status = 'failed' then m.error_code end,
         cancelled_at = case when proven.status = 'cancelled' then m.cancelled_at end,
         cancel_reason = case when proven.status = 'cancelled' then m.cancel_reason end,
         updated_at = clock_timestamp()
    -- With the token of an attempt at another message it is proof too.
    from (select * from free where free.token in (select token from ledger) or free.of <> free.id) proven
   where m.id = any (array[proven.id]) and provable!(m) and proven.is_next
  returning m.id, proven.token, m.conversation_id, coalesce(proven.body, proven.kept, m.body) as body, proven.sent_from,
            -- The number as it was sent to, not as it was entered: conversations are found by it.
            coalesce(proven.sent_to, m.to_number) as sent_to, proven.sid,
            coalesce(proven.finished_at, 'epoch') as finished_at, has_app_rows!(m) as has_app_rows
), uses as (
  -- The app's own count is updated later from this: its row would make the records of one template wait for
  -- each other.
  insert into punctual.template_uses (template_id, uses, last_used_at)
  select f.template_id, count(*), max(f.finished_at)
    from free f
   where f.template_id is not null and f.accepted = 1
     and (f.token in (select token from moved) or f.token in (select token from overtaken))
   group by f.template_id
)
select token, case when of is null then 'lost' else 'done' end as what, null::text as refusal from free
union all
select token, 'doubled', null from ledger where doubled
union all
-- A trigger of the app's returned null.
select token, 'no effect', null
  from free
 where is_next and may_move and (token in (select token from ledger) or of <> id)
   and id not in (select id from moved)
union all
select null, 'refused', wrote.refusal
  from (select punctual.write_sent(array_agg(id), array_agg(conversation_id::uuid), array_agg(body::text),
                                   array_agg(sent_from), array_agg(sent_to::text), array_agg(sid),
                                   array_agg(finished_at)) as refusal
          from moved where has_app_rows
        having count(*) > 0) wrote
 where wrote.refusal is not null
union all
-- A callback that came first has written the row's text for the app, which may not be what was sent.
select null, 'refused', corrected.refusal
  from (select punctual.correct_messages(array_agg(sid), array_agg(body), array_agg(row_body::text)) as refusal
          from overtaken where body <> row_body
        having count(*) > 0) corrected
 where corrected.refusal is not null
