-- Corrects messages that are `sending` while the ledger has no open attempt at them: no claim made them so, or what a
-- claim and its outcome have written is there in part only (a restore in parts, triggers that were off). If every try
-- that the row counts is in the ledger and certainly sent nothing, it is pending again; else it is unknown whether
-- it was sent: unconfirmed. Returns how many became each.
-- $1 for how long the row has not changed (ms): a claim changes it, and may not be visible here yet
-- $2 rows at most  $3 the reason of those that are unconfirmed
with stranded as (
  select m.id, m.status,
         m.attempts > 0 and m.twilio_sid is null and m.sent_at is null
         -- At the part that is next.
         and m.attempts <= (select count(*) from punctual.attempts a where a.message_id = m.id and a.part = m.parts_done)
         and not exists (select from punctual.attempts a
                          where a.message_id = m.id and a.part = m.parts_done and (sent_nothing!(a)) is not true)
           as is_unsent
    from public.scheduled_messages m
   where m.id = any (array(
           select s.id from public.scheduled_messages s
            where s.status = 'sending' and s.updated_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
              and not exists (select from punctual.attempts a where a.message_id = any (array[s.id]) and is_open!(a))
            limit $2::bigint))
     and is_sending!(m) and m.updated_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
   order by m.id
     for no key update skip locked
), moved as (
  update public.scheduled_messages m
     set status = case when s.is_unsent then 'pending' else 'unconfirmed' end,
         error_message = case when s.is_unsent then m.error_message else $3::text end,
         updated_at = clock_timestamp()
    from stranded s
   where m.id = any (array[s.id])
  returning m.status
)
select count(*) filter (where status = 'pending') as pending, count(*) filter (where status = 'unconfirmed') as unconfirmed
  from moved
