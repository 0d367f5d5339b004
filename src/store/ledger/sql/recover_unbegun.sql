-- ask ─┬─▶ free ─┬─▶ ledger ─▶ places, moved
--      └─▶ gone ─┘
-- Releases attempts that were certainly not accepted, also if they were made unconfirmed meanwhile: only the
-- journal of the instance that had claimed them can show that. An attempt that has been settled since, or that
-- is known to have begun, stays as it is; and so does a row with another open attempt, or an uncertain one after which
-- nothing was permitted. A locked row is skipped and missing in the result.
-- $1 ids  $2 tokens, one a message  $3 why, for people
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[]) as a (id, token, reason)
), free as (
  select ask.*
    from ask
    join public.scheduled_messages m on m.id = any (array[ask.id])
   order by m.id
     for no key update of m skip locked
), gone as (
  select * from ask
   where not exists (select from public.scheduled_messages m where m.id = any (array[ask.id]))
), ledger as (
  update punctual.attempts a
     set outcome = 'returned', error = done.reason, code = null, category = null,
         finished_at = coalesce(a.finished_at, clock_timestamp()),
         next_lookup_at = null, lookup_to = null, lookup_from = null, lookup_text = null,
         quota_returned = a.day is not null
    from (select * from free union all select * from gone) done
   where a.token = any (array[done.token]) and a.message_id = any (array[done.id])
     and (a.outcome is null
          or a.outcome = 'unknown' and a.started_at is null and a.provider_sid is null)
  returning a.token, a.message_id, a.user_id, a.day, a.quota_returned
), places as (
  return_quota!()
), moved as (
  update public.scheduled_messages m
     set status = 'pending', attempts = greatest(m.attempts - 1, 0),
         next_attempt_at = case when m.parts_done > 0 then m.next_attempt_at end,
         error_message = case when m.status = 'sending' then m.error_message end,
         updated_at = clock_timestamp()
    from ledger
   where m.id = any (array[ledger.message_id]) and (is_sending!(m) or is_unconfirmed!(m))
     and not exists (select from punctual.attempts o
                      where o.message_id = m.id and o.token <> ledger.token
                        and (o.outcome is null or o.outcome = 'unknown' and o.settled_by is null))
  returning m.id
)
select token, id in (select id from moved) as moved from free
union all
select token, false from gone
