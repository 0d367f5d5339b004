-- Merges positive outcomes, whatever status the rows have by now: a provider's sid is proof, and proof is never
-- fenced.
--
--   ask ─▶ free ─┬─▶ ledger ─▶ moved ─┬─▶ wrote
--                └─▶ overtaken ─▶ corrected
--                moved, overtaken ─▶ uses
--
-- Repeating it changes nothing, and neither does it after a callback that came first: where the ledger has the
-- proof, the row may have moved on. A locked row is skipped and missing in the result; the caller tries it
-- again. record_lost.sql handles what has no row or attempt. A sid that another attempt has already (from a
-- test double that knows only one) is still proof; the ledger, which finds attempts by it, keeps it with the
-- first.
-- $1 ids  $2 tokens  $3 sids  $4 request started  $5 response received  $6 when the message is looked up if
-- nothing more is reported (ms; null: never)  $7 the text as it was sent  $8 from whom, $9 to whom
-- $10 the version of the row that it proves something about (null: any)
with free as materialized (
  select ask.*, m.row_body, m.template_id,
         -- With what the ledger has of each when this statement begins.
         a.message_id as of, a.outcome as stood, a.started_at as begun,
         row_number() over (partition by ask.sid order by ask.token) > 1
         or exists (select from punctual.attempts o
                     where o.provider_sid = ask.sid and o.token <> ask.token) as twice
    from (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                               $7::text[], $8::text[], $9::text[], $10::bigint[])
                     as a (id, token, sid, started_at, finished_at, body, sent_from, sent_to, version)
           order by a.id) ask
   cross join lateral (
     select m.body as row_body, case when m.template_vars is not null then m.template_id end as template_id
       from public.scheduled_messages m
      where m.id = ask.id and (ask.version is null or m.version = ask.version)
        for no key update skip locked) m
    left join lateral (
     select a.message_id, a.outcome, a.started_at from punctual.attempts a where a.token = ask.token) a on true
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = case when not free.twice then free.sid end,
         started_at = free.started_at, finished_at = free.finished_at,
         code = null, category = null, lookups = 0,
         next_lookup_at = case when not free.twice
                            then clock_timestamp() + $6::bigint * interval '1 millisecond' end,
         lookup_to = null, lookup_from = null, lookup_text = null,
         body = nullif(free.body, free.row_body),
         error = case when free.twice then 'the provider gave this sid to another attempt as well' end
    from free
   where a.token = free.token and a.message_id = free.id and a.outcome is distinct from 'accepted'
  returning free.id, a.token, free.sid, free.finished_at, free.body, free.sent_from, free.sent_to,
            doubled!(a) as doubled
), overtaken as (
  update punctual.attempts a
     set started_at = free.started_at, finished_at = free.finished_at,
         body = nullif(free.body, free.row_body)
    from free
   where free.stood = 'accepted' and free.begun is null
     and a.token = free.token and a.message_id = free.id and a.outcome = 'accepted'
     and a.started_at is null
  returning a.token, free.sid, free.body, free.row_body
), moved as (
  update public.scheduled_messages m
     set status = 'sent', sent_at = proven.finished_at, twilio_sid = proven.sid,
         next_attempt_at = null, error_message = null, error_code = null,
         cancelled_at = null, cancel_reason = null, updated_at = clock_timestamp()
    from (select id, token, sid, finished_at, body, sent_from, sent_to from ledger
           union all
          -- With the token of an attempt at another message it is proof too.
          select id, token, sid, finished_at, body, sent_from, sent_to from free where of <> id) proven
   where m.id = proven.id and provable!(m)
  returning m.id, proven.token, m.conversation_id, coalesce(proven.body, m.body) as body, proven.sent_from,
            -- The number as it was sent to, not as it was entered: conversations are found by it.
            coalesce(proven.sent_to, m.to_number) as sent_to, proven.sid,
            coalesce(proven.finished_at, 'epoch') as finished_at, has_app_rows!(m) as has_app_rows
), uses as (
  -- The app's own count is updated later from this: its row would make the records of one template wait for
  -- each other.
  insert into punctual.template_uses (template_id, uses, last_used_at)
  select f.template_id, count(*), max(f.finished_at)
    from free f
   where f.template_id is not null
     and (f.token in (select token from moved) or f.token in (select token from overtaken))
   group by f.template_id
), wrote as (
  select punctual.write_sent(m.ids, m.conversations, m.bodies, m.senders, m.recipients, m.sids, m.finished_at) as refusal
    from (select array_agg(id) as ids, array_agg(conversation_id::uuid) as conversations,
                 array_agg(body::text) as bodies, array_agg(sent_from) as senders,
                 array_agg(sent_to::text) as recipients, array_agg(sid) as sids, array_agg(finished_at) as finished_at
            from moved where has_app_rows
          having count(*) > 0) m
), corrected as (
  -- A callback that came first has written the row's text for the app, which may not be what was sent.
  select punctual.correct_messages(array_agg(sid), array_agg(body), array_agg(row_body::text)) as refusal
    from overtaken
   where body <> row_body
  having count(*) > 0
)
select token, case when of is null then 'lost' else 'done' end as what, null::text as refusal from free
union all
select token, 'doubled', null from ledger where doubled
union all
select null, 'refused', refusal from wrote where refusal is not null
union all
select null, 'refused', refusal from corrected where refusal is not null
