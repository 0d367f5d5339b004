-- ask ─▶ found ─▶ free
-- Which attempts these reports are about: by the ids they carry, or without them by the sid. An attempt that
-- the database had lost and recovered may have another token than its request had. Their rows are locked in the
-- order of their ids; what is locked already is skipped, and its report is merged alone later. An attempt that went
-- through another account is no matter of theirs.
-- $1 tokens  $2 messages  $3 sids, one for each report (token and message null: identified by its sid)
-- $4 the sender for rows that name none  $5 the accounts by which they came
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $5::text[]) with ordinality
             as r (token, message, sid, account, n)
), found as (
  select ask.n, a.token, a.message_id, a.account <> ask.account as is_of_another
    from ask join punctual.attempts a on a.token = any (array[ask.token]) and a.message_id = any (array[ask.message])
  union all
  select ask.n, a.token, a.message_id, a.account <> ask.account
    from ask join punctual.attempts a on a.provider_sid = any (array[ask.sid])
   where ask.token is null
  union all
  select ask.n, a.token, a.message_id, a.account <> ask.account
    from ask join punctual.attempts a on a.provider_sid = any (array[ask.sid]) and a.message_id = any (array[ask.message])
   where a.recovered and a.token <> ask.token
     and not exists (select from punctual.attempts o where o.token = any (array[ask.token]))
), free as (
  select m.id, m.status::text, m.twilio_sid::text, m.conversation_id::uuid, m.to_number::text, m.body::text,
         m.attempts::int, coalesce(m.max_attempts, 3)::int as max_attempts,
         m.parts_done::smallint, coalesce(m.parts_total, 1)::smallint as parts_total,
         late_since!(m) as late_from, m.send_before,
         clock_timestamp() as now, has_app_rows!(m) as has_app_rows
    from public.scheduled_messages m
   cross join (select $4::text as sender, account_senders!() as senders) ours
   where m.id = any (array(select message_id from found where is_of_another is not true))
   order by m.id
     for no key update of m skip locked
)
select found.n, found.token, found.message_id, found.is_of_another is true as is_of_another, free.*,
       free.id is null
         and exists (select from public.scheduled_messages m where m.id = found.message_id) as is_locked
  from found
  left join free on free.id = found.message_id
 order by found.n
