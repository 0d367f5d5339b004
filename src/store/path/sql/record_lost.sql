-- named ─┬─▶ recovered ─▶ moved ─▶ shown ─▶ (the app's rows)
--        ├─▶ ledger
--        └─▶ overtaken
-- Merges positive outcomes whose row or attempt is not there: the app has deleted the row, or a standby took
-- over, or a backup was restored. An attempt that the ledger does not have is entered again, so that it is found by
-- what comes later.
--
-- Rows and attempts that both exist are record_accepted.sql's. Another transaction that has entered something
-- since this statement began conflicts, and so does a lock on a row: then it is missing in the result, and
-- tried again.
-- $1 ids  $2 tokens  $3 sids  $4 request started  $5 response received  $6 when the message is looked up if
-- nothing more is reported (ms; null: never)  $7 the text as it was sent  $8 from whom, $9 to whom
-- $10 the version of the row that it proves something about (null: any)  $11 how many parts come before it
-- $12 of how many  $13 from its acceptance to the next part (us)  $14 by which rules  $15 the instance  $16 the account
with named as materialized (
  select ask.*, m.*, coalesce(ask.finished_at, clock_timestamp()) as ended_at,
         case when ask.part + 1 >= m.total then 'sent'
              when m.status in ('failed', 'cancelled') then m.status else 'pending' end as next,
         -- What it sent, if the ledger has that of another attempt.
         case when m.total > 1 then (kept_texts!(ask))[ask.part + 1] end as kept,
         row_number() over (partition by ask.sid order by ask.token) > 1
         or exists (select from punctual.attempts o
                     where o.provider_sid = ask.sid and o.token <> ask.token) as twice,
         -- The same message, known by another token since.
         exists (select from punctual.attempts a
                  where a.message_id = ask.id and a.provider_sid = ask.sid and a.token <> ask.token) as known
    from (select ask.*, a.is_there is not null as has_attempt, m.is_there is not null as has_row
            from (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                                       $7::text[], $8::text[], $9::text[], $10::bigint[], $11::smallint[],
                                       $12::smallint[], $13::bigint[], $14::text[], $16::text[])
                        as a (id, token, sid, started_at, finished_at, body, sent_from, sent_to, version, part,
                              parts, gap_us, lawful, account)
                   order by a.id) ask
            left join lateral (select true as is_there from punctual.attempts a where a.token = ask.token) a on true
            left join lateral (select true as is_there from public.scheduled_messages m where m.id = ask.id) m on true
         ) ask
    left join lateral (
     select m.body as row_body, m.conversation_id, m.to_number, has_app_rows!(m) as has_app_rows, m.status,
            coalesce(m.parts_total, ask.parts) as total
       from public.scheduled_messages m
      where ask.has_row and not ask.has_attempt and m.id = ask.id and (ask.version is null or m.version = ask.version)
        for no key update skip locked) m on true
   where m.total is not null or not ask.has_row
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = case when not named.twice then named.sid end,
         started_at = named.started_at, finished_at = named.finished_at, code = null, category = null, lookups = 0,
         next_lookup_at = case when not named.twice then named.ended_at + $6::bigint * interval '1 millisecond' end,
         lookup_to = null, lookup_from = null, lookup_text = null, body = coalesce(named.body, a.body), lawful = coalesce(named.lawful, a.lawful),
         error = case when named.twice then 'the provider gave this sid to another attempt as well' end
    from named
   where a.token = any (array[named.token]) and a.message_id = any (array[named.id]) and a.outcome is distinct from 'accepted'
  returning a.token, doubled!(a) as doubled
), overtaken as (
  update punctual.attempts a
     set started_at = named.started_at, finished_at = named.finished_at,
         body = coalesce(named.body, a.body), lawful = coalesce(named.lawful, a.lawful) from named
   where a.token = any (array[named.token]) and a.message_id = any (array[named.id]) and a.outcome = 'accepted' and a.started_at is null
), recovered as (
  insert into punctual.attempts as a
         (token, message_id, number, part, instance, claimed_at, lease_until, started_at, finished_at,
          outcome, provider_sid, next_lookup_at, body, error, account, recovered, lawful)
  select named.token, named.id,
         coalesce((select max(o.number) from punctual.attempts o where o.message_id = named.id), 0)
           + row_number() over (partition by named.id order by named.started_at, named.token), named.part,
         $15::uuid, coalesce(named.started_at, named.ended_at), named.ended_at, named.started_at, named.finished_at,
         'accepted', case when not named.twice then named.sid end,
         -- Where the row is gone, a response moves nothing.
         case when not named.twice and named.has_row then named.ended_at + $6::bigint * interval '1 millisecond' end,
         coalesce(nullif(named.body, named.row_body), named.kept),
         case when named.twice then 'the provider gave this sid to another attempt as well'
              else 'the database had lost this attempt; its proof was kept elsewhere' end,
         named.account, true, named.lawful
    from named where not named.has_attempt and not named.known
  on conflict do nothing
  returning a.token, doubled!(a) as doubled
), moved as (
  update public.scheduled_messages m
     set status = proven.next, parts_done = case when proven.total > 1 then proven.part + 1 else 0 end,
         parts_total = case when proven.total > 1 then proven.total else m.parts_total end,
         attempts = case when proven.next = 'sent' then m.attempts else 0 end,
         sent_at = case when proven.next = 'sent' then proven.finished_at end,
         twilio_sid = case when proven.next = 'sent' then proven.sid end,
         next_attempt_at = case when proven.next = 'pending'
                                then proven.ended_at + proven.gap_us * interval '1 microsecond' end,
         (error_message, error_code) = (select m.error_message, m.error_code where proven.next = 'failed'),
         (cancelled_at, cancel_reason) = (select m.cancelled_at, m.cancel_reason where proven.next = 'cancelled'),
         updated_at = clock_timestamp()
    -- Of several the last one: those before it were of parts before its own, or had not arrived.
    from (select distinct on (named.id) named.* from named
           where named.has_row and named.token in (select token from recovered)
           order by named.id, named.part desc, named.started_at desc nulls last, named.token desc) proven
   where m.id = any (array[proven.id])
     and (provable!(m) and proven.part >= m.parts_done
        -- Retried since: the row takes this attempt, so that the end of the earlier one causes no other retry.
        or m.status = 'sent' and proven.next = 'sent' and proven.started_at > m.sent_at)
  returning m.id
), shown as (
  -- The last attempt at each part.
  select distinct on (n.id, n.part) n.id, n.conversation_id, coalesce(n.body, n.kept, n.row_body) as body, n.sent_from,
         coalesce(n.sent_to, n.to_number) as sent_to, n.sid, coalesce(n.finished_at, 'epoch') as finished_at
    from named n join recovered r on r.token = n.token
   where n.has_app_rows and case when n.total > 1 then not r.doubled else n.id in (select id from moved) end
   order by n.id, n.part, n.started_at desc nulls last, n.token desc
)
select token, 'done' as what, null::text as refusal from named
 where has_attempt or known or token in (select token from recovered)
union all
select token, 'recovered', null from recovered
union all
select token, 'doubled', null from (table ledger union all table recovered) accepted where doubled
union all
select null, 'refused', wrote.refusal
  from (select punctual.write_sent(array_agg(id), array_agg(conversation_id::uuid), array_agg(body::text),
                                   array_agg(sent_from), array_agg(sent_to::text), array_agg(sid),
                                   array_agg(finished_at)) as refusal
          from shown having count(*) > 0) wrote
 where wrote.refusal is not null
