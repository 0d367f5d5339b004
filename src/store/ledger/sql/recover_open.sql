-- Attempts of a dead instance without a certain outcome: those that it had open, and those of them that were
-- reaped since. For those that it recorded as unknown itself, the ledger has when the request began.
-- In the order of their tokens, a page at a time.
-- $1 instance  $2 rows at most  $3 those after this token (null: from the first)  $4 whether those too that it has
-- open; without, what a living instance has under way is not read
with open as (
  select a.token, a.message_id, a.number, true as in_flight
    from punctual.attempts a
   where $4::bool and a.outcome is null and a.instance = $1::uuid and coalesce(a.token > $3::uuid, true)
  union all
  select a.token, a.message_id, a.number, false
    from public.scheduled_messages m
   cross join lateral (
     select a.token, a.message_id, a.number from punctual.attempts a
      where a.message_id = m.id and a.instance = $1::uuid and coalesce(a.token > $3::uuid, true)
        and a.outcome = 'unknown' and a.started_at is null and a.provider_sid is null
     offset 0) a
   where m.status = 'unconfirmed'
)
select open.token, open.message_id, open.number::int, open.in_flight,
       greatest(coalesce(m.attempts, 1) - 1, 0)::int as attempts_before,
       coalesce(m.max_attempts, 3)::int as max_attempts,
       coalesce((select i.journal_incomplete from punctual.instances i where i.id = $1::uuid), false)
         as journal_incomplete
  from open
  left join public.scheduled_messages m on m.id = any (array[open.message_id])
 order by open.token
 limit $2
