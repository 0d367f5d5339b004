-- Merges positive outcomes, whatever state the rows are in by now: a provider's sid is proof,
-- and proof is never fenced. Repeating it changes nothing, and neither does it after a callback
-- that came first: where the ledger knows of the proof, the row may have gone on from there. A
-- row somebody holds is skipped and missing from the answer; the caller comes back to it. A sid
-- that an attempt has already (a stand-in that knows only one) is still proof; the ledger, which
-- finds attempts by it, keeps it with the first. An attempt that the ledger does not have (a
-- standby took over, a backup came back) is entered anew, so that it is found by what comes later.
-- $1 ids  $2 tokens  $3 sids  $4 request started  $5 answer came  $6 when the provider is asked, where
-- nothing more is heard of it (ms; null: never)  $7 the text as it was sent  $8 the instance
-- $9 the version of the row that it proves something of (null: whichever it is by now)
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                       $7::text[], $9::bigint[])
             as a (id, token, sid, started_at, finished_at, body, version)
), free as (
  select ask.id, ask.token, ask.sid, ask.started_at, ask.finished_at, ask.body,
         m.body as row_body, case when m.template_vars is not null then m.template_id end as template_id
    from ask
    join public.scheduled_messages m on m.id = ask.id
   where ask.version is null or m.version = ask.version
   order by m.id
     for no key update of m skip locked
), gone as (
  select ask.id, ask.token, ask.sid, ask.started_at, ask.finished_at, ask.body, null::text, null::uuid
    from ask
   where ask.id not in (select id from free)
     and not exists (select from public.scheduled_messages m where m.id = ask.id)
), named as (
  -- With what the ledger has of each as this statement begins.
  select done.*, a.message_id as of, a.outcome as stood, a.started_at as begun,
         row_number() over (partition by done.sid order by done.token) > 1
         or exists (select from punctual.attempts o
                     where o.provider_sid = done.sid and o.token <> done.token) as twice
    from (select * from free union all select * from gone) done
    left join punctual.attempts a on a.token = done.token
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = case when not named.twice then named.sid end,
         started_at = named.started_at, finished_at = named.finished_at,
         code = null, category = null, asked = 0,
         next_ask_at = case when not named.twice
                            then clock_timestamp() + $6::bigint * interval '1 millisecond' end,
         sought_to = null, sought_from = null, sought_text = null,
         body = nullif(named.body, named.row_body),
         error = case when named.twice then 'the provider gave this sid to another attempt as well' end
    from named
   where a.token = named.token and a.message_id = named.id and a.outcome is distinct from 'accepted'
  returning a.token, named.id, named.sid, named.finished_at,
            -- See duplicate.sql.
            exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted'
                       and not undelivered!(o))
              as doubled
), lost as (
  select named.* from named
   where named.of is null
     -- The same message, known by another token since.
     and not exists (select from punctual.attempts a
                      where a.message_id = named.id and a.provider_sid = named.sid)
), regained as (
  -- Whoever has entered something since this statement began is in the way: then it is missing in
  -- the answer, and tried again.
  insert into punctual.attempts as a
         (token, message_id, number, instance, claimed_at, lease_until, started_at, finished_at,
          outcome, provider_sid, next_ask_at, body, error, regained)
  select lost.token, lost.id,
         coalesce((select max(o.number) from punctual.attempts o where o.message_id = lost.id), 0)
           + row_number() over (partition by lost.id order by lost.started_at, lost.token),
         $8::uuid, coalesce(lost.started_at, lost.finished_at, clock_timestamp()),
         coalesce(lost.finished_at, clock_timestamp()), lost.started_at, lost.finished_at, 'accepted',
         case when not lost.twice then lost.sid end,
         -- Where the row is gone, nothing is to be moved by an answer.
         case when not lost.twice and lost.row_body is not null
              then clock_timestamp() + $6::bigint * interval '1 millisecond' end,
         nullif(lost.body, lost.row_body),
         case when lost.twice then 'the provider gave this sid to another attempt as well'
              else 'the database had lost this attempt; its proof was kept elsewhere' end,
         true
    from lost
  on conflict do nothing
  returning a.token, a.message_id as id, a.finished_at,
            exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part
                       and o.outcome = 'accepted'
                       and not undelivered!(o))
              as doubled
), overtaken as (
  update punctual.attempts a
     set started_at = named.started_at, finished_at = named.finished_at,
         body = nullif(named.body, named.row_body)
    from named
   where named.stood = 'accepted' and named.begun is null
     and a.token = named.token and a.message_id = named.id and a.outcome = 'accepted'
     and a.started_at is null
  returning a.token
), proven as (
  select token, id, sid, finished_at, null::timestamptz as later from ledger
  union all
  -- Of several the last one: those before it had not arrived, or there would have been no other.
  select * from (select distinct on (lost.id) lost.token, lost.id, lost.sid, regained.finished_at, lost.started_at
                   from regained join lost on lost.token = regained.token
                  order by lost.id, lost.started_at desc nulls last, lost.token desc) latest
  union all
  -- With the token of an attempt at another message it is proof all the same.
  select token, id, sid, finished_at, null from named where of <> id
), moved as (
  update public.scheduled_messages m
     set status = 'sent', sent_at = proven.finished_at, twilio_sid = proven.sid,
         next_attempt_at = null, error_message = null, error_code = null,
         cancelled_at = null, cancel_reason = null, updated_at = clock_timestamp()
    from proven
   where m.id = proven.id
     and (m.status in ('sending', 'unconfirmed', 'pending', 'failed', 'cancelled')
        -- Tried again since: the row goes by that, so that the end of the try before does not have it
        -- tried once more.
        or m.status = 'sent' and proven.later > m.sent_at)
  returning proven.token, m.conversation_id, m.to_number, m.body
), uses as (
  -- The app's own count follows from here: its row would make the records of one template wait
  -- for each other.
  insert into punctual.template_uses (template_id, uses, last_used_at)
  select f.template_id, count(*), max(f.finished_at)
    from free f
   where f.template_id is not null
     and (f.token in (select token from moved) or f.token in (select token from overtaken))
   group by f.template_id
)
select token, true as moved, conversation_id::uuid, to_number::text, body::text, false as doubled
  from moved
union all
-- A callback that came first has told the app the row's text, which may not be what was sent.
select token, false, null, null, case when token in (select token from overtaken) then row_body::text end, false
  from free
 where token not in (select token from lost) or token in (select token from regained)
union all
select token, false, null, null, null, false from gone
 where token not in (select token from lost) or token in (select token from regained)
union all
select token, false, null, null, null, true from ledger where doubled
union all
select token, false, null, null, null, true from regained where doubled
