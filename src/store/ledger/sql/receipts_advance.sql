-- report ─▶ ledger
-- Records on attempts, which are locked, the stage that their messages have reached. Any report of the
-- provider's about a message proves that it has it, whatever the response to the request was or will be.
-- $1 tokens  $2 sids  $3 the provider's terms  $4 stages  $5 when the message is looked up if nothing more is
-- reported (ms; null: never)  $6 whether it did not arrive  $7 the present by a clock that follows no
-- jump (null: by the database's)
with report as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bool[])
             as t (token, sid, word, stage, ask_ms, failed)
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = report.sid, receipt_status = report.word,
         message_status = report.stage, finished_at = coalesce(a.finished_at, $7::timestamptz, clock_timestamp()),
         code = null, category = null, error = null,
         next_lookup_at = case when report.ask_ms is null then null
                            when a.outcome = 'accepted' and a.next_lookup_at is not null then a.next_lookup_at
                            else coalesce($7::timestamptz, clock_timestamp()) + report.ask_ms * interval '1 millisecond' end,
         lookups = case when a.outcome = 'accepted' then a.lookups else 0 end,
         lookup_to = null, lookup_from = null, lookup_text = null,
         -- What arrives after a failure is counted again. A message of several parts counts once, by its first: while
         -- another of them is sent or has arrived, the user receives a message.
         quota_returned = a.day is not null and report.failed
           and (a.texts is null
                or not exists (select from punctual.attempts b
                                where b.message_id = a.message_id and b.part > a.part
                                  and coalesce(b.outcome, 'unknown') in ('accepted', 'unknown') and not undelivered!(b)))
    from report
    join punctual.attempts was on was.token = any (array[report.token])
   where a.token = any (array[report.token])
  returning a.user_id, a.day, was.quota_returned::int - a.quota_returned::int as used
)
-- In the order of the claims. Only once, because the attempt shows whether its quota has been returned.
insert into punctual.daily_counts as c (user_id, day, count)
select l.user_id, l.day, greatest(sum(l.used), 0)::int
  from ledger l
 where l.used <> 0
 group by l.user_id, l.day
 order by l.user_id, l.day
on conflict (user_id, day) do update
   set count = greatest(c.count + (select sum(l.used) from ledger l
                                    where l.user_id = c.user_id and l.day = c.day)::int, 0)
