-- name: app_attempt_hold
-- Holds the attempt that a sid belongs to until the end of the transaction.
-- $1 sid
select from punctual.attempts a where a.provider_sid = $1::text for share
-- name: app_follow_missed
-- Has messages follow their calendar events that missed a change of them; how many did.
-- $1 at most
select punctual.follow_missed($1) as followed
 where exists (select from punctual.missed_event_changes)
-- name: app_outbox_again
-- $1 id  $2 error  $3 the app's words  $4 pause (ms)
update punctual.outbox
   set attempts = attempts + 1, last_error = $2, app_error = $3,
       next_attempt_at = clock_timestamp() + $4::bigint * interval '1 millisecond'
 where id = $1
-- name: app_outbox_done
-- $1 id
delete from punctual.outbox where id = $1
-- name: app_outbox_due
-- The next writes to try again; each is tried in a transaction of its own.
-- $1 rows at most
select o.id, o.message_id, o.write, o.attempts
  from punctual.outbox o
 where o.next_attempt_at <= clock_timestamp()
 order by o.next_attempt_at
 limit $1
   for update skip locked
-- name: app_tell_statuses
-- Brings the app's rows up to what attempts have reached, and what these refuse into the outbox; why they did.
-- $1 scheduled messages  $2 their sids
select punctual.tell_statuses($1::uuid[], $2::text[])
-- name: app_user_cancel
-- $1 id
update public.scheduled_messages set status = 'cancelled' where id = $1
-- name: app_user_delete
-- $1 id
delete from public.scheduled_messages where id = $1
-- name: app_user_edit
-- $1 id  $2 body
update public.scheduled_messages set body = $2 where id = $1 and status || '' = 'pending'
-- name: app_user_fate
-- $1 id
select status::text, coalesce(cancel_reason, error_message)::text as reason
  from public.scheduled_messages where id = $1
-- name: app_user_insert
-- As the app inserts a message, one of its users' or nobody's.
-- $1 user  $2 to  $3 body  $4 scheduled at
insert into public.scheduled_messages (user_id, to_number, body, scheduled_at)
values ($1, $2, $3, $4)
returning id
-- name: app_user_prefer
-- What a user has chosen; the phone has been verified.
-- $1 user  $2 zone  $3 quiet from, $4 until (us since midnight there)  $5 how many a day
insert into public.user_sms_preferences
       (user_id, phone_verified, timezone, quiet_hours_start, quiet_hours_end, daily_sms_limit)
values ($1, true, $2, time '00:00' + $3::bigint * interval '1 microsecond',
        time '00:00' + $4::bigint * interval '1 microsecond', $5)
-- name: app_user_reschedule
-- $1 id  $2 scheduled at
update public.scheduled_messages set scheduled_at = $2 where id = $1 and status || '' = 'pending'
-- name: app_user_schedule
-- As a person schedules a message.
-- $1 to  $2 from  $3 body  $4 scheduled at  $5 user  $6 zone  $7 send before  $8 priority
-- $9 dedup key  $10 type  $11 template  $12 its variables
insert into public.scheduled_messages
       (to_number, from_number, body, scheduled_at, user_id, timezone, send_before, priority,
        dedup_key, message_type, template_id, template_vars)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::jsonb)
returning id
-- name: app_user_templates
-- The template that a person names, and a few others.
-- $1 key or id  $2 at most
select id, name, message_template, required_vars, max_length, is_active, is_it
  from punctual.templates_named($1, $2)
-- name: app_write_messages
-- Writes messages that waited in the outbox into the app's tables; why they are not written yet, if they are not.
-- $1 scheduled messages  $2 conversations  $3 bodies  $4 from  $5 to  $6 sids (empty: not known)  $7 sent at
select coalesce(w.refusal, case when w.held <> '{}' then 'the conversation is held by another transaction' end), w.words
  from punctual.write_messages($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                               $7::timestamptz[]) w
-- name: app_write_sent
-- Writes sent messages into the app's tables, and what these refuse into the outbox; why they did.
-- $1 scheduled messages  $2 conversations  $3 bodies  $4 from  $5 to  $6 sids (empty: not known)  $7 sent at
select punctual.write_sent($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
-- name: app_write_statuses
-- Brings rows of the app's that waited in the outbox up to what is known; why they are not yet, if they are not.
-- $1 sids
select coalesce(w.refusal, case when w.held <> '{}' then 'the row is held by another transaction' end), w.words
  from punctual.write_statuses($1::text[]) w
-- name: ledger_duplicate
-- Of these attempts those beside which another attempt at the same message was accepted as well, neither
-- of them given up by the provider: then the text went out twice.
-- $1 tokens
select a.token
  from punctual.attempts a
 where a.token in (select unnest($1::uuid[])) and not coalesce(a.message_status in ('undelivered', 'failed', 'cancelled'), false) and exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted' and not coalesce(o.message_status in ('undelivered', 'failed', 'cancelled'), false))
-- name: ledger_instance_beat
-- $1 instance
update punctual.instances set heartbeat_at = clock_timestamp() where id = $1::uuid
-- name: ledger_instance_start
-- $1 instance  $2 version of the program
insert into punctual.instances (id, version) values ($1::uuid, $2::text)
on conflict (id) do update set heartbeat_at = clock_timestamp(), stopped_at = null
-- name: ledger_instance_stop
-- $1 instance
update punctual.instances set heartbeat_at = clock_timestamp(), stopped_at = clock_timestamp() where id = $1::uuid
-- name: ledger_look_up_known
-- Which of these sids the ledger has: what is somebody's is nobody else's proof.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 cross join lateral (
   (select from punctual.attempts a where a.provider_sid = s.sid limit 1)
   union all
   (select from punctual.receipts r where r.provider_sid = s.sid limit 1)
   limit 1) known
-- name: ledger_look_up_known_app
-- Which of these sids the app has written down: messages it sent itself, above all.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 where exists (select from public.messages m where m.twilio_sid = s.sid)
-- name: ledger_look_up_put_back
-- unconfirmed -> pending, by a policy that permits it: only the attempt that left the row in
-- doubt, only while attempts and time are left. The attempt itself stays in doubt. A row that
-- somebody holds is skipped, and tried again at the next look. Other instances are told, unless
-- the queue of notices is nearly full; then the sweeps find it.
-- $1 message  $2 token  $3 the policy  $4 a sentence  $5 max lateness (us)
with held as (
  select m.id
    from public.scheduled_messages m
   where m.id = $1::uuid and m.status || '' = 'unconfirmed' and m.attempts < coalesce(m.max_attempts, 3)
     and clock_timestamp() <= least(
           greatest(m.scheduled_at, m.deferred_until, m.requeued_at) + $5::bigint * interval '1 microsecond',
           m.send_before)
     for no key update skip locked
), ledger as (
  update punctual.attempts a
     set settled_by = $3, settled_at = clock_timestamp()
    from held
   where a.token = $2::uuid and a.message_id = held.id and a.outcome = 'unknown'
     and a.settled_by is null
     and a.number = (select max(b.number) from punctual.attempts b where b.message_id = held.id)
  returning a.message_id
), moved as (
  update public.scheduled_messages m
     set status = 'pending', next_attempt_at = null, error_message = $4, updated_at = clock_timestamp()
    from ledger
   where m.id = ledger.message_id and m.status || '' = 'unconfirmed'
  returning m.id
)
select case when pg_notification_queue_usage() < 0.9 then pg_notify('punctual', 'ids ' || id)::text end
  from moved
-- name: ledger_look_up_rivals
-- Other attempts that a message of the provider's with this text, to this number, may be of:
-- those in doubt, and those whose request may be on its way this moment. When each can have
-- begun at the earliest.
-- $1 the attempt  $2 to  $3 the text's SHA-256
select coalesce(a.started_at, a.claimed_at) as since
  from punctual.attempts a
 where a.lookup_text = $3::bytea and a.lookup_to = $2::text and a.outcome = 'unknown'
   and a.token <> $1::uuid
union all
select coalesce(a.started_at, a.claimed_at)
  from punctual.attempts a
  join public.scheduled_messages m on m.id = a.message_id
 where a.outcome is null and a.token <> $1::uuid and btrim(m.to_number) = $2::text
   -- What a template is rendered to may be anything.
   and (m.template_vars is not null
        or sha256(convert_to(btrim(m.body, E' \t\r\n'), 'UTF8')) = $3::bytea)
-- name: ledger_look_ups_done
-- Notes what came of asking, where nothing else has happened to the attempt meanwhile: what is
-- not noted is asked again when its time with us is over.
-- $1 tokens  $2 held until  $3 answers had  $4 pause until the next (us; null: none)  $5 what was told
with ask as (
  select * from unnest($1::uuid[], $2::timestamptz[], $3::int[], $4::bigint[], $5::text[])
             as a (token, held_until, lookups, pause_us, note)
), free as (
  select a.token
    from punctual.attempts a
    join ask on ask.token = a.token and ask.held_until = a.next_lookup_at
   order by a.token
     for no key update of a skip locked
)
update punctual.attempts a
   set lookups = ask.lookups, looked_up_at = clock_timestamp(), lookup_note = ask.note,
       next_lookup_at = clock_timestamp() + ask.pause_us * interval '1 microsecond'
  from ask
 where a.token = ask.token and a.token in (select token from free)
-- name: ledger_look_ups_take
-- What the provider is to be asked now: attempts in doubt, and accepted ones of which no end has
-- been told. Taken for a while, so that no other instance asks the same; whoever dies meanwhile
-- leaves it to be taken again. What somebody holds is skipped.
-- The statement's time, not the clock's: only that can end the walk along the index.
-- $1 in doubt at most  $2 accepted at most  $3 how long they are ours (ms)
with doubtful as (
  select a.token
    from punctual.attempts a
   where a.outcome = 'unknown' and a.next_lookup_at <= statement_timestamp()
   order by a.next_lookup_at
   limit $1
     for no key update skip locked
), unheard as (
  select a.token
    from punctual.attempts a
   where a.outcome = 'accepted' and a.next_lookup_at <= statement_timestamp()
   order by a.next_lookup_at
   limit $2
     for no key update skip locked
), taken as (
  update punctual.attempts a
     set next_lookup_at = clock_timestamp() + $3::bigint * interval '1 millisecond'
    from (select token from doubtful union all select token from unheard) due
   where a.token = due.token
  returning a.*
)
select t.token, t.message_id, t.outcome, t.provider_sid, t.lookups, t.next_lookup_at as held_until,
       coalesce(t.started_at, t.claimed_at) as since,
       coalesce(t.finished_at, t.claimed_at) as asked_since,
       t.lookup_to, t.lookup_from, t.lookup_text,
       t.settled_by is null
         and t.number = (select max(b.number) from punctual.attempts b where b.message_id = t.message_id)
         as holds_row,
       m.status::text, m.in_doubt::text, m.attempts::int,
       coalesce(m.max_attempts, 3)::int as max_attempts,
       greatest(m.scheduled_at, m.deferred_until, m.requeued_at) as wanted_at, m.send_before,
       clock_timestamp() as now
  from taken t
  left join public.scheduled_messages m on m.id = t.message_id
 order by t.outcome desc, t.token
-- name: ledger_members
-- The instances that run: heard of within the heartbeat's time-out, and not signed off.
-- $1 heartbeat time-out (ms)  $2 rows at most
select i.id
  from punctual.instances i
 where i.stopped_at is null
   and i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond'
 order by i.id
 limit $2
-- name: ledger_orphaned_claims
-- Open claims of this instance whose lease is over. The daemon knows what it is sending; one
-- that it does not know was committed after its answer was given up, and never began.
-- $1 instance  $2 rows at most
select a.token, a.message_id
  from punctual.attempts a
 where a.outcome is null and a.lease_until < clock_timestamp() and a.instance = $1::uuid
 order by a.lease_until
 limit $2
-- name: ledger_quarantine_fresh
-- Of what is held, the rows that were written after the hold: nothing was sent of them before it.
-- $1 held before  $2 written after this  $3 rows at most
select m.id
  from public.scheduled_messages m
 where m.status = 'pending'
   and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < $1::timestamptz
   and greatest(m.created_at, m.requeued_at) > $2::timestamptz
 order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
 limit $3
-- name: ledger_quarantine_rows
-- What is held after a restore: pending, and due before the hold. In the order of their numbers, so
-- that rows which could be each other's come together; of one number the soonest first.
-- $1 held before  $2 after this number (null: from the first)  $3 rows at most
select m.id, btrim(m.to_number, E' \t\r\n')::text as number,
       nullif(btrim(m.from_number), '')::text as from_number,
       -- What a template is rendered to, nobody knows here.
       case when m.template_vars is null then sha256(convert_to(btrim(m.body, E' \t\r\n'), 'UTF8')) end as text,
       -- It cannot have been sent before it was there.
       coalesce(least(m.created_at, greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)), '-infinity')
         as since,
       greatest(m.created_at, m.requeued_at) as touched, m.version::bigint as version
  from public.scheduled_messages m
 where m.status = 'pending'
   and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < $1::timestamptz
   and ($2::text is null or btrim(m.to_number, E' \t\r\n') collate "C" > $2::text)
 order by btrim(m.to_number, E' \t\r\n') collate "C",
          greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), m.id
 limit $3
-- name: ledger_reap
-- Claims of instances that are dead: the lease is over, the heartbeat is stale, and database
-- and reaper have both been up for longer than a heartbeat may be late, so that the silence is
-- the other's and not ours. Whether the provider got the message nobody knows: unconfirmed.
-- $1 this instance  $2 heartbeat time-out (ms)  $3 rows at most
with dead as (
  select a.token, a.message_id
    from punctual.attempts a
    left join punctual.instances i on i.id = a.instance
   where a.outcome is null
     and a.lease_until < clock_timestamp()
     and a.instance <> $1::uuid
     and coalesce(i.stopped_at, i.heartbeat_at, '-infinity')
         < clock_timestamp() - $2::bigint * interval '1 millisecond'
     and pg_postmaster_start_time() < clock_timestamp() - $2::bigint * interval '1 millisecond'
     and exists (select from punctual.instances me
                  where me.id = $1::uuid
                    and me.started_at < clock_timestamp() - $2::bigint * interval '1 millisecond')
   order by a.lease_until
   limit $3
), free as (
  select m.id, btrim(m.to_number) as lookup_to, nullif(btrim(m.from_number), '') as lookup_from,
         -- What a template was rendered to, only the dead one knew.
         case when m.template_vars is null then sha256(convert_to(btrim(m.body, E' \t\r\n'), 'UTF8')) end
           as lookup_text
    from public.scheduled_messages m
   where m.id in (select message_id from dead)
   order by m.id
     for no key update skip locked
), ledger as (
  update punctual.attempts a
     set outcome = 'unknown', finished_at = clock_timestamp(),
         error = 'the instance that claimed it ended before it said how the request went',
         -- The lease is over: the provider's list has had its time.
         lookups = 0, next_lookup_at = clock_timestamp(),
         lookup_to = free.lookup_to, lookup_from = free.lookup_from, lookup_text = free.lookup_text
    from dead
    left join free on free.id = dead.message_id
   where a.token = dead.token and (a.outcome || '') is null
     and (free.id is not null
          or not exists (select from public.scheduled_messages m where m.id = dead.message_id))
  returning a.message_id
)
update public.scheduled_messages m
   set status = 'unconfirmed', updated_at = clock_timestamp(),
       error_message = 'the instance that was sending it ended before it said how the request went'
  from ledger
 where m.id = ledger.message_id and m.status || '' = 'sending'
-- name: ledger_receipts_advance
-- reports ─▶ attempts ─▶ quotas
-- Notes on attempts, which are locked, how far their messages have come. That the provider speaks of one
-- at all is proof that it has it, whatever our own answer was or will be.
-- $1 tokens  $2 sids  $3 the provider's words  $4 stages  $5 when the provider is asked, where nothing
-- more is heard (ms; null: never)  $6 whether it did not arrive
with told as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bool[])
             as t (token, sid, word, stage, ask_ms, failed)
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = told.sid, receipt_status = told.word,
         message_status = told.stage, finished_at = coalesce(a.finished_at, clock_timestamp()),
         code = null, category = null, error = null,
         next_lookup_at = case when told.ask_ms is null then null
                            when a.outcome = 'accepted' and a.next_lookup_at is not null then a.next_lookup_at
                            else clock_timestamp() + told.ask_ms * interval '1 millisecond' end,
         lookups = case when a.outcome = 'accepted' then a.lookups else 0 end,
         lookup_to = null, lookup_from = null, lookup_text = null,
         quota_returned = a.quota_returned or a.day is not null and told.failed
    from told
    join punctual.attempts was on was.token = told.token
   where a.token = told.token
  returning a.user_id, a.day, a.quota_returned and not was.quota_returned as quota_returned
)
-- In the order of the claims. Once, for what has been given back says so.
insert into punctual.daily_counts as c (user_id, day, count)
select l.user_id, l.day, 0 from ledger l where l.quota_returned group by l.user_id, l.day order by l.user_id, l.day
on conflict (user_id, day) do update
   set count = greatest(c.count - (select count(*) from ledger l
                                    where l.quota_returned and l.user_id = c.user_id and l.day = c.day)::int, 0)
-- name: ledger_receipts_alone
-- Waits for a row that somebody holds, for the lock time-out at most and holding nothing: our own
-- record of the request is often being written this moment.
-- $1 message
select from public.scheduled_messages m where m.id = $1::uuid for no key update
-- name: ledger_receipts_alone_attempt
-- The same for its attempt, after the row.
-- $1 token
select from punctual.attempts a where a.token = $1::uuid for no key update
-- name: ledger_receipts_attempts
-- Locks the attempts, whose rows are locked by now: a statement of its own, so that it sees what
-- whoever held the rows before has committed. What somebody holds is skipped.
-- $1 tokens
select a.token, a.message_id, a.outcome, a.provider_sid, a.message_status, a.recovered,
       -- The text as it was sent, where a template was rendered.
       a.body,
       a.number = (select max(b.number) from punctual.attempts b where b.message_id = a.message_id)
         as latest
  from punctual.attempts a
 where a.token in (select unnest($1::uuid[]))
 order by a.token
   for no key update of a skip locked
-- name: ledger_receipts_keep
-- Keeps the reports that changed or contradicted something.
-- $1 messages  $2 tokens  $3 sids  $4 the provider's words  $5 its codes  $6 effects  $7 rows' statuses
insert into punctual.receipts (message_id, token, provider_sid, status, error_code, effect, row_status)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[])
on conflict (token, provider_sid, status) do nothing
-- name: ledger_receipts_move
-- Moves rows, which are locked, to where reports lead them.
-- $1 messages  $2 statuses  $3 sids  $4 errors  $5 the provider's codes  $6 with status pending: how long
-- not to try (us)  $7 attempts that do not count
with move as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::int[])
             as t (id, status, sid, error, code, pause_us, uncounted)
)
update public.scheduled_messages m
   set status = move.status, twilio_sid = case when move.status <> 'pending' then move.sid end,
       error_message = move.error, error_code = move.code,
       attempts = greatest(m.attempts - move.uncounted, 0),
       sent_at = case when move.status = 'failed' then m.sent_at
                      when move.status <> 'pending' then coalesce(m.sent_at, clock_timestamp()) end,
       delivered_at = case when move.status = 'delivered' then clock_timestamp() end,
       next_attempt_at = clock_timestamp() + move.pause_us * interval '1 microsecond',
       cancelled_at = null, cancel_reason = null, updated_at = clock_timestamp()
  from move
 where m.id = move.id
returning m.id, clock_timestamp() as now
-- name: ledger_receipts_owners
-- Which attempts have these sids.
-- $1 sids
select a.provider_sid, a.token
  from punctual.attempts a
 where a.provider_sid in (select unnest($1::text[]))
-- name: ledger_receipts_rows
-- reports ─▶ attempts ─▶ rows, locked
-- Which attempts these reports are about: by the ids they carry, or without them by the sid. An attempt
-- that the database had lost and recovered may have another token than its request had. Their rows
-- are locked in the order of their ids; what somebody holds is skipped, and reported alone later.
-- $1 tokens  $2 messages  $3 sids, one each a report (token and message null: told by its sid)
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality as r (token, message, sid, n)
), found as (
  select ask.n, a.token, a.message_id
    from ask join punctual.attempts a on a.token = ask.token and a.message_id = ask.message
  union all
  select ask.n, a.token, a.message_id
    from ask join punctual.attempts a on a.provider_sid = ask.sid
   where ask.token is null
  union all
  select ask.n, a.token, a.message_id
    from ask join punctual.attempts a on a.provider_sid = ask.sid and a.message_id = ask.message
   where a.recovered and a.token <> ask.token
     and not exists (select from punctual.attempts o where o.token = ask.token)
), free as (
  select m.id, m.status::text, m.twilio_sid::text, m.conversation_id::uuid, m.to_number::text, m.body::text,
         m.attempts::int, coalesce(m.max_attempts, 3)::int as max_attempts,
         greatest(m.scheduled_at, m.deferred_until, m.requeued_at) as wanted_at, m.send_before,
         clock_timestamp() as now
    from public.scheduled_messages m
   where m.id in (select message_id from found)
   order by m.id
     for no key update of m skip locked
)
select found.n, found.token, found.message_id, free.*,
       free.id is null
         and exists (select from public.scheduled_messages m where m.id = found.message_id) as is_locked
  from found
  left join free on free.id = found.message_id
 order by found.n
-- name: ledger_recover_open
-- Attempts of a dead instance of which nothing certain stands here: what it had open, and what
-- was reaped of that since. What it recorded itself as unknown says when the request began.
-- $1 instance  $2 rows at most
with open as (
  select a.token, a.message_id, a.number, true as in_flight
    from punctual.attempts a
   where a.outcome is null and a.instance = $1::uuid
  union all
  select a.token, a.message_id, a.number, false
    from public.scheduled_messages m
   cross join lateral (
     select a.token, a.message_id, a.number from punctual.attempts a
      where a.message_id = m.id and a.instance = $1::uuid
        and a.outcome = 'unknown' and a.started_at is null and a.provider_sid is null
     offset 0) a
   where m.status = 'unconfirmed'
)
select open.token, open.message_id, open.number::int, open.in_flight,
       greatest(coalesce(m.attempts, 1) - 1, 0)::int as attempts_before,
       coalesce(m.max_attempts, 3)::int as max_attempts
  from open
  left join public.scheduled_messages m on m.id = open.message_id
 order by open.token
 limit $2
-- name: ledger_recover_unbegun
-- Gives back what certainly was not accepted, whoever has called it unknown meanwhile: only the
-- journal of the instance that had claimed it may say so. An attempt that has been settled since,
-- or of which it is known that it began, stays as it is; and so does a row at which another
-- attempt is open. A row somebody holds is skipped and missing from the answer.
-- $1 ids  $2 tokens, one a message  $3 why, for people
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[]) as a (id, token, reason)
), free as (
  select ask.*
    from ask
    join public.scheduled_messages m on m.id = ask.id
   order by m.id
     for no key update of m skip locked
), gone as (
  select * from ask
   where not exists (select from public.scheduled_messages m where m.id = ask.id)
), ledger as (
  update punctual.attempts a
     set outcome = 'returned', error = done.reason, code = null, category = null,
         finished_at = coalesce(a.finished_at, clock_timestamp()),
         next_lookup_at = null, lookup_to = null, lookup_from = null, lookup_text = null,
         quota_returned = a.day is not null
    from (select * from free union all select * from gone) done
   where a.token = done.token and a.message_id = done.id
     and (a.outcome is null
          or a.outcome = 'unknown' and a.started_at is null and a.provider_sid is null)
  returning a.token, a.message_id, a.user_id, a.day, a.quota_returned
), places as (
  -- As in record_settled.sql.
  insert into punctual.daily_counts as c (user_id, day, count)
  select l.user_id, l.day, 0 from ledger l where l.quota_returned group by l.user_id, l.day order by l.user_id, l.day
  on conflict (user_id, day) do update
     set count = greatest(c.count - (select count(*) from ledger l
                                      where l.quota_returned and l.user_id = c.user_id and l.day = c.day)::int, 0)
), moved as (
  update public.scheduled_messages m
     set status = 'pending', attempts = greatest(m.attempts - 1, 0), next_attempt_at = null,
         error_message = case when m.status = 'sending' then m.error_message end,
         updated_at = clock_timestamp()
    from ledger
   where m.id = ledger.message_id and (m.status || '' = 'sending' or m.status || '' = 'unconfirmed')
     and not exists (select from punctual.attempts o
                      where o.message_id = m.id and o.token <> ledger.token
                        and (o.outcome is null or o.outcome = 'unknown'))
  returning m.id
)
select token, id in (select id from moved) as moved from free
union all
select token, false from gone
-- name: ledger_resolve_ledger
-- A person's word on what is in doubt of a message, whose row is held. That it was sent is said
-- of the latest attempt; anything else of all of them, which stay in doubt and are still looked
-- for: proof may come yet.
-- $1 message  $2 whether it was sent  $3 its sid, if it is known  $4 who says so
-- $5 when the provider is asked about that sid (ms)
update punctual.attempts a
   set settled_by = $4::text, settled_at = clock_timestamp(),
       outcome = case when $2::bool then 'accepted' else a.outcome end,
       provider_sid = case when $2::bool then $3::text end,
       next_lookup_at = case when not $2::bool then a.next_lookup_at
                          when $3::text is not null then clock_timestamp() + $5::bigint * interval '1 millisecond' end,
       lookups = case when $2::bool then 0 else a.lookups end,
       lookup_to = case when not $2::bool then a.lookup_to end,
       lookup_from = case when not $2::bool then a.lookup_from end,
       lookup_text = case when not $2::bool then a.lookup_text end
 where a.message_id = $1::uuid and a.outcome = 'unknown' and a.settled_by is null
   and (not $2::bool
        or a.number = (select max(b.number) from punctual.attempts b where b.message_id = $1::uuid))
-- name: ledger_resolve_move
-- Moves a row in doubt, which is held, to where a person says. What is to be sent again counts as
-- wanted now.
-- $1 id  $2 status  $3 sid  $4 a sentence
update public.scheduled_messages m
   set status = $2::text,
       twilio_sid = case when $2::text = 'sent' then $3::text end,
       sent_at = case when $2::text = 'sent' then clock_timestamp() end,
       error_message = case when $2::text <> 'sent' then $4::text end,
       error_code = null,
       cancel_reason = case when $2::text = 'cancelled' then $4::text end,
       cancelled_at = case when $2::text = 'cancelled' then clock_timestamp() end,
       requeued_at = case when $2::text = 'pending' then clock_timestamp() else m.requeued_at end,
       next_attempt_at = null, updated_at = clock_timestamp()
 where m.id = $1::uuid and m.status || '' = 'unconfirmed'
returning clock_timestamp() as now
-- name: ledger_resolve_row
-- Holds the row a person speaks about.
-- The text is the one that was sent last, where a template was rendered.
-- $1 id
select m.status::text, m.conversation_id::uuid, m.to_number::text, m.from_number::text,
       coalesce((select a.body from punctual.attempts a where a.message_id = m.id
                  order by a.number desc limit 1), m.body)::text as body
  from public.scheduled_messages m
 where m.id = $1::uuid
   for no key update
-- name: ledger_resolve_sid
-- Whether a sid is another message's.
-- $1 sid  $2 message
select exists (select from punctual.attempts a
                where a.provider_sid = $1::text and a.message_id <> $2::uuid)
-- name: ledger_restored_mark
-- The database has become an older one: of each message that it shows as sent, a later attempt may have been
-- sent as well, and its record lost. So none of these is retried when it is reported as not delivered.
-- It reads the whole ledger, once a restore.
-- $1 the stages after which nothing more is reported
update punctual.attempts a
   set recovered = true
 where a.outcome = 'accepted' and not a.recovered and coalesce(a.message_status <> all ($1::text[]), true)
-- name: ledger_story_attempts
-- $1 message
select a.number, a.part, a.token, a.instance, a.claimed_at, a.lease_until, a.started_at,
       a.finished_at, a.outcome, a.provider_sid, a.code, a.category, a.error, a.receipt_status,
       a.lookups, a.looked_up_at, a.lookup_note, a.next_lookup_at, a.settled_by, a.settled_at
  from punctual.attempts a
 where a.message_id = $1::uuid
 order by a.number, a.part
-- name: ledger_story_notes
-- What came too late for a message. $1 id
select n.at, n.note
  from punctual.notes n
 where n.message_id = $1::uuid
 order by n.id
-- name: ledger_story_outbox
-- $1 message
select o.attempts, o.next_attempt_at, o.last_error, o.app_error, o.created_at
  from punctual.outbox o
 where o.message_id = $1::uuid
 order by o.id
-- name: ledger_story_receipts
-- $1 message
select a.number, r.provider_sid, r.status, r.error_code, r.effect, r.row_status, r.received_at
  from punctual.receipts r
  left join punctual.attempts a on a.token = r.token
 where r.message_id = $1::uuid
 order by r.id
-- name: ledger_story_row
-- $1 id
select m.id, m.status, m.to_number, m.scheduled_at, m.deferred_until, m.deferred_reason,
       m.next_attempt_at, m.requeued_at, m.send_before, m.sent_at, m.delivered_at, m.cancelled_at,
       m.cancel_reason, m.error_message, m.error_code, m.twilio_sid, m.attempts, m.max_attempts,
       m.version, m.in_doubt::text, coalesce(a.body, m.body)::text as text,
       m.timezone::text as timezone, p.timezone as their_timezone,
       greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
       greatest(m.scheduled_at, m.deferred_until, m.requeued_at) as wanted_at
  from public.scheduled_messages m
  -- What was rendered last goes, or has gone, in place of the body.
  left join lateral (select body from punctual.attempts
                      where message_id = m.id and body is not null
                      order by number desc limit 1) a on true
  left join lateral (select (f.facts).timezone
                       from punctual.facts_of(array[m.id], array[m.id], array[m.user_id],
                                              array[m.calendar_event_id::text]) f) p on true
 where m.id = $1::uuid
-- name: ledger_tell_ids
-- Tells every instance of a row that the daemon itself has moved back to `pending`: its own
-- writes do not notify. Not where the queue is nearly full: the commit would fail.
-- $1 message
select case when pg_notification_queue_usage() < 0.9 then pg_notify('punctual', 'ids ' || $1::uuid)::text end
-- name: path_beyond
-- How many pending messages are due after the window, counted up to a bound.
-- $1 until  $2 count at most
select count(*) as beyond
  from (select from public.scheduled_messages m
         where m.status = 'pending'
           and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) > $1::timestamptz
         limit $2) far
-- name: path_claim
-- Claims messages: pending -> sending, under the token the caller drew for each, with a lease.
--
--   ids ─▶ free ─▶ people ─▶ going ─▶ won ─▶ ledger
--            └────▶ unwanted
--
-- The database judges the time. A row that somebody holds is skipped, never waited for, and
-- rows are locked in id order, so a claim can take no part in a deadlock. What goes to somebody
-- who has opted out is cancelled instead, and so not won. What is known of users, events and
-- templates comes along for the policy to judge by, and each message that is counted takes a place
-- in its user's day, or finds that there is none (reserve_quota).
-- Types are said here and below: a prepared statement does not survive a change of its result,
-- and the app may alter text to varchar under a running daemon.
-- $1 ids  $2 tokens, one each  $3 instance  $4 lease (ms)  $5 how long before due (us)
-- $6 who sends where a row names nobody  $7 the installation's zone
-- $8 whether the app's own count of the day is honoured as well
with free as materialized (
  select m.id, ask.token, m.user_id, m.event,
         (select s.reason from punctual.suppressions s
           where s.their_number = m.their_number
             and (s.our_number is null or s.our_number = m.our_number)
           limit 1) as opted_out
    from (select a.id, a.token from unnest($1::uuid[], $2::uuid[]) as a (id, token) order by a.id) ask
   cross join lateral (
     select m.id, m.user_id, m.calendar_event_id::text as event, btrim(m.to_number) as their_number,
            coalesce(nullif(btrim(m.from_number), ''), $6::text) as our_number
       from public.scheduled_messages m
      where m.id = ask.id and m.status || '' = 'pending'
        and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= clock_timestamp() + $5::bigint * interval '1 microsecond'
        for no key update skip locked) m
), unwanted as (
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = free.opted_out, cancelled_at = clock_timestamp(),
         updated_at = clock_timestamp()
    from free
   where m.id = free.id and free.opted_out is not null
), people as materialized (
  -- A message of nobody's asks for nothing. The locks are taken by now: the sub-select reads
  -- all of them.
  select q.*
    from (select array_agg(id) as ids, array_agg(token) as tokens, array_agg(user_id) as users,
                 array_agg(event) as events
            from free where user_id is not null and opted_out is null
          having count(*) > 0) a
   cross join lateral punctual.reserve_quota(a.ids, a.tokens, a.users, a.events, $7::text, $8::bool) q
), going as materialized (
  -- Materialized, for a row that changed since this statement began is judged anew below, by a copy
  -- of what is here; the places are not to be taken twice.
  select id, token, null::uuid as user_id, null::punctual.facts as facts, null::date as day,
         null::int as over_limit
    from free
   where user_id is null and opted_out is null
  union all
  select id, token, user_id, facts, day, over_limit from people
), won as (
  update public.scheduled_messages m
     set status = 'sending', attempts = m.attempts + 1, updated_at = clock_timestamp()
    from going g
   where m.id = g.id
  returning m.id, g.token, m.attempts, m.max_attempts, m.channel, m.to_number, m.from_number, m.body,
            m.send_before, m.scheduled_at, m.timezone, m.message_type, m.priority, m.template_id,
            m.template_vars, m.calendar_event_id, m.event_start,
            g.user_id, g.facts, g.day, g.over_limit,
            greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
            greatest(m.scheduled_at, m.deferred_until, m.requeued_at) as wanted_at,
            -- A row that was claimed and put back while this statement runs has an attempt that is not
            -- seen here: its number is taken, and the claim is refused and asked for by halves.
            1 + coalesce((select max(a.number) from punctual.attempts a where a.message_id = m.id), 0)
              as number
), ledger as (
  insert into punctual.attempts (token, message_id, number, instance, lease_until, user_id, day)
  select token, id, number, $3::uuid, clock_timestamp() + $4::bigint * interval '1 millisecond',
         case when day is not null then user_id end, day
    from won
)
select w.id, w.token, w.number, (w.attempts - 1)::int as attempts_before,
       coalesce(w.max_attempts, 3)::int as max_attempts, w.due, w.wanted_at, w.send_before,
       w.channel::text, w.to_number::text, w.from_number::text, w.body::text, clock_timestamp() as now,
       w.scheduled_at, w.user_id, w.timezone::text, w.message_type::text, w.priority::text,
       w.template_vars::text as template_vars,
       t.name::text as template_name, t.message_template::text as template_text,
       t.required_vars::text as template_required, t.max_length::int as template_max_length,
       t.is_active as template_is_active,
       coalesce((w.facts).has_preferences, false) as has_preferences, (w.facts).phone_verified, (w.facts).opted_out,
       (w.facts).off, (w.facts).quiet_start, (w.facts).quiet_end, (w.facts).timezone as user_timezone,
       (w.facts).event_is_cancelled as event_gone,
       case when w.calendar_event_id is not null
            then coalesce((w.facts).event_start, w.event_start) end as event_start,
       w.day::text as place_day, w.over_limit
  from won w
  left join punctual.facts_of_templates(
         (select array_agg(distinct template_id) from won where template_vars is not null)) t
    on t.id = w.template_id and w.template_vars is not null
-- name: path_counts_prune
-- What users were sent on days that are long over.
-- $1 before this
delete from punctual.daily_counts c where c.day < ($1::timestamptz at time zone 'UTC')::date
-- name: path_days_keep
-- When the days of each zone begin and end. What was told before and is told no more is over, or
-- was of another zone data.
-- $1 zones  $2 starts  $3 ends  $4 dates
with told as (
  select t.zone, t.starts, t.ends, t.day::date as day
    from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[]) as t (zone, starts, ends, day)
), over as (
  delete from punctual.days d
   where (d.zone, d.starts) not in (select t.zone, t.starts from told t)
)
insert into punctual.days as d (zone, starts, ends, day)
select t.zone, t.starts, t.ends, t.day from told t order by t.zone, t.starts
on conflict (zone, starts) do update set ends = excluded.ends, day = excluded.day
 where (d.ends, d.day) is distinct from (excluded.ends, excluded.day)
-- name: path_expire
-- Cancels what is later than is allowed, in bulk, so that a first start on an old table neither
-- texts the past nor claims it row by row; and what is past its own send_before. What is claimed
-- meanwhile is judged there, by the same rules (policy/mod.rs) and in the same words.
-- The moments are sub-selects: asked once, they are looked for in an index, where
-- clock_timestamp() itself would be compared with every row that is pending.
-- $1 max lateness (us)  $2 rows at most, of each kind  $3 what is due before this is held and left
-- alone (null: nothing is)
with late as (
  (select m.id
     from public.scheduled_messages m
    where m.status = 'pending'
      and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
      and greatest(m.scheduled_at, m.deferred_until, m.requeued_at) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
      and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) >= coalesce($3::timestamptz, '-infinity')
    order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
    limit $2)
  union
  (select m.id
     from public.scheduled_messages m
    where m.status = 'pending' and m.send_before < (select clock_timestamp())
      and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) >= coalesce($3::timestamptz, '-infinity')
    order by m.send_before
    limit $2)
), free as (
  -- Asked again of the row as it is once it is held: an edit that was committed meanwhile counts.
  select m.id
    from public.scheduled_messages m
   where m.id in (select id from late) and m.status || '' = 'pending'
     and (m.send_before < clock_timestamp()
          or greatest(greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), greatest(m.scheduled_at, m.deferred_until, m.requeued_at)) < clock_timestamp() - $1::bigint * interval '1 microsecond')
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) >= coalesce($3::timestamptz, '-infinity')
   order by m.id
     for no key update skip locked
)
update public.scheduled_messages m
   set status = 'cancelled', cancelled_at = clock_timestamp(), updated_at = clock_timestamp(),
       cancel_reason = case
         -- Whichever came first. Not later than now, so that there is something to add to.
         when m.send_before <= least(greatest(m.scheduled_at, m.deferred_until, m.requeued_at), clock_timestamp())
                               + $1::bigint * interval '1 microsecond' then
           'too late: send_before was '
           || case when isfinite(m.send_before)
                   then to_char(m.send_before at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                   else '-infinity' end
         -- A time can be -infinity, which is not to be subtracted from.
         when isfinite(greatest(m.scheduled_at, m.deferred_until, m.requeued_at)) then
           format('too late: %s s after its time, more than the %s s allowed',
             floor(extract(epoch from clock_timestamp() - greatest(m.scheduled_at, m.deferred_until, m.requeued_at))),
             $1::bigint / 1000000)
         else format('too late: its time is -infinity, more than the %s s allowed', $1::bigint / 1000000)
       end
  from free
 where m.id = free.id
-- name: path_load_window
-- What is pending and due up to a moment, soonest first. What is so late that it is to be
-- cancelled is left to expire.sql.
-- $1 until  $2 max lateness (us)
select m.id, m.version::bigint, m.attempts::int, m.priority::text, m.channel::text,
       greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due
  from public.scheduled_messages m
 where m.status = 'pending'
   and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= $1::timestamptz
   and greatest(m.scheduled_at, m.deferred_until, m.requeued_at) >= clock_timestamp() - $2::bigint * interval '1 microsecond'
 order by due
-- name: path_notify
-- $1 payload
select pg_notify('punctual', $1::text)
-- name: path_notify_others
-- Tells the other instances, who hear nothing of what the daemon writes. Not where the queue is
-- nearly full: the commit would fail, and the sweeps find the rows anyway.
-- $1 payload
select pg_notify('punctual', $1::text) where pg_notification_queue_usage() < 0.9
-- name: path_now
select clock_timestamp() as now
-- name: path_overdue
-- What is due and not claimed, and whether anybody holds it. Read in a transaction that is rolled back,
-- so that it waits for no commit and leaves no lock.
-- $1 due for longer than (us)  $2 what is due before this is in quarantine (null: nothing is)
-- $3 rows at most  $4 of these, how many are tried for a lock
with overdue as materialized (
  select m.id, greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due
    from public.scheduled_messages m
   where m.status = 'pending'
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) >= coalesce($2::timestamptz, '-infinity')
   order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
   limit $3
), tried as materialized (
  select id from overdue order by due limit $4
), free as materialized (
  select m.id
    from public.scheduled_messages m
   where m.id in (select id from tried)
     for no key update skip locked
)
select count(*) as messages,
       coalesce((extract(epoch from clock_timestamp()
                         - greatest(min(due), clock_timestamp() - interval '30 days')) * 1000000)::bigint, 0) as oldest_us,
       (select count(*) from tried) > 0 and not exists (select from free) as is_locked
  from overdue
-- name: path_read_rows
-- How rows stand to somebody who wants to send them. One row an id asked for.
-- $1 ids
select ask.id, m.status::text, m.version::bigint, m.attempts::int, m.priority::text, m.channel::text,
       greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
       case when m.status = 'sending' then
         (select max(a.lease_until) from punctual.attempts a
           where a.message_id = m.id and (a.outcome || '') is null)
       end as lease_until
  from unnest($1::uuid[]) as ask (id)
  left join public.scheduled_messages m on m.id = ask.id
-- name: path_record_accepted
-- Merges positive outcomes, whatever state the rows are in by now: a provider's sid is proof, and proof is
-- never fenced.
--
--   ask ─▶ free ─┬─▶ ledger ─▶ moved ─┬─▶ wrote
--                └─▶ overtaken ─▶ corrected
--                moved, overtaken ─▶ uses
--
-- Repeating it changes nothing, and neither does it after a callback that came first: where the ledger
-- knows of the proof, the row may have gone on from there. A row somebody holds is skipped and missing from
-- the answer; the caller comes back to it. Whose row or attempt is not there, record_lost.sql sees to. A sid
-- that an attempt has already (a stand-in that knows only one) is still proof; the ledger, which finds
-- attempts by it, keeps it with the first.
-- $1 ids  $2 tokens  $3 sids  $4 request started  $5 answer came  $6 when the provider is asked, where
-- nothing more is heard of it (ms; null: never)  $7 the text as it was sent  $8 from whom, $9 to whom
-- $10 the version of the row that it proves something of (null: whichever it is by now)
with free as materialized (
  select ask.*, m.row_body, m.template_id,
         -- With what the ledger has of each as this statement begins.
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
            exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted' and not coalesce(o.message_status in ('undelivered', 'failed', 'cancelled'), false)) as doubled
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
          -- With the token of an attempt at another message it is proof all the same.
          select id, token, sid, finished_at, body, sent_from, sent_to from free where of <> id) proven
   where m.id = proven.id and m.status in ('sending', 'unconfirmed', 'pending', 'failed', 'cancelled')
  returning m.id, proven.token, m.conversation_id, coalesce(proven.body, m.body) as body, proven.sent_from,
            -- The number as it was sent to, not as it was typed: conversations are found by it.
            coalesce(proven.sent_to, m.to_number) as sent_to, proven.sid,
            coalesce(proven.finished_at, 'epoch') as finished_at
), uses as (
  -- The app's own count follows from here: its row would make the records of one template wait
  -- for each other.
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
            from moved
          having count(*) > 0) m
), corrected as (
  -- A callback that came first has told the app the row's text, which may not be what was sent.
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
-- name: path_record_lost
-- Merges positive outcomes whose row or attempt is not there: the app has deleted the row, or a standby took
-- over, or a backup came back. An attempt that the ledger does not have is entered anew, so that it is found by
-- what comes later.
--
--   ask ─▶ free ─▶ named ─┬─▶ recovered ─▶ moved ─▶ wrote
--            gone ───┘    └─▶ ledger
--
-- Of what is there it says nothing: record_accepted.sql does. Whoever has entered something since this statement
-- began is in the way, as is who holds a row: then it is missing in the answer, and tried again.
-- $1 ids  $2 tokens  $3 sids  $4 request started  $5 answer came  $6 when the provider is asked, where
-- nothing more is heard of it (ms; null: never)  $7 the text as it was sent  $8 from whom, $9 to whom
-- $10 the version of the row that it proves something of (null: whichever it is by now)  $11 the instance
with ask as materialized (
  select ask.*, a.is_there is not null as has_attempt, m.is_there is not null as has_row
    from (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                               $7::text[], $8::text[], $9::text[], $10::bigint[])
                     as a (id, token, sid, started_at, finished_at, body, sent_from, sent_to, version)
           order by a.id) ask
    left join lateral (select true as is_there from punctual.attempts a where a.token = ask.token) a on true
    left join lateral (select true as is_there from public.scheduled_messages m where m.id = ask.id) m on true
), named as materialized (
  select done.*,
         row_number() over (partition by done.sid order by done.token) > 1
         or exists (select from punctual.attempts o
                     where o.provider_sid = done.sid and o.token <> done.token) as twice,
         -- The same message, known by another token since.
         exists (select from punctual.attempts a
                  where a.message_id = done.id and a.provider_sid = done.sid and a.token <> done.token) as known
    from (select ask.*, m.row_body
            from ask
           cross join lateral (
             select m.body as row_body from public.scheduled_messages m
              where m.id = ask.id and (ask.version is null or m.version = ask.version)
                for no key update skip locked) m
           where ask.has_row and not ask.has_attempt
          union all
          select ask.*, null from ask where not ask.has_row) done
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = case when not named.twice then named.sid end,
         started_at = named.started_at, finished_at = named.finished_at, code = null, category = null,
         lookups = 0, next_lookup_at = case when not named.twice
                            then clock_timestamp() + $6::bigint * interval '1 millisecond' end,
         lookup_to = null, lookup_from = null, lookup_text = null, body = named.body,
         error = case when named.twice then 'the provider gave this sid to another attempt as well' end
    from named
   where a.token = named.token and a.message_id = named.id and a.outcome is distinct from 'accepted'
  returning a.token, exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted' and not coalesce(o.message_status in ('undelivered', 'failed', 'cancelled'), false)) as doubled
), overtaken as (
  update punctual.attempts a
     set started_at = named.started_at, finished_at = named.finished_at, body = named.body
    from named
   where a.token = named.token and a.message_id = named.id and a.outcome = 'accepted' and a.started_at is null
), recovered as (
  insert into punctual.attempts as a
         (token, message_id, number, instance, claimed_at, lease_until, started_at, finished_at,
          outcome, provider_sid, next_lookup_at, body, error, recovered)
  select named.token, named.id,
         coalesce((select max(o.number) from punctual.attempts o where o.message_id = named.id), 0)
           + row_number() over (partition by named.id order by named.started_at, named.token),
         $11::uuid, coalesce(named.started_at, named.finished_at, clock_timestamp()),
         coalesce(named.finished_at, clock_timestamp()), named.started_at, named.finished_at, 'accepted',
         case when not named.twice then named.sid end,
         -- Where the row is gone, nothing is to be moved by an answer.
         case when not named.twice and named.has_row
              then clock_timestamp() + $6::bigint * interval '1 millisecond' end,
         nullif(named.body, named.row_body),
         case when named.twice then 'the provider gave this sid to another attempt as well'
              else 'the database had lost this attempt; its proof was kept elsewhere' end,
         true
    from named
   where not named.has_attempt and not named.known
  on conflict do nothing
  returning a.token, exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted' and not coalesce(o.message_status in ('undelivered', 'failed', 'cancelled'), false)) as doubled
), moved as (
  update public.scheduled_messages m
     set status = 'sent', sent_at = proven.finished_at, twilio_sid = proven.sid,
         next_attempt_at = null, error_message = null, error_code = null,
         cancelled_at = null, cancel_reason = null, updated_at = clock_timestamp()
    -- Of several the last one: those before it had not arrived, or there would have been no other.
    from (select distinct on (named.id) named.*
            from named
           where named.has_row and named.token in (select token from recovered)
           order by named.id, named.started_at desc nulls last, named.token desc) proven
   where m.id = proven.id
     and (m.status in ('sending', 'unconfirmed', 'pending', 'failed', 'cancelled')
        -- Tried again since: the row goes by that, so that the end of the try before does not have it
        -- tried once more.
        or m.status = 'sent' and proven.started_at > m.sent_at)
  returning m.id, m.conversation_id, coalesce(proven.body, m.body) as body, proven.sent_from,
            coalesce(proven.sent_to, m.to_number) as sent_to, proven.sid,
            coalesce(proven.finished_at, 'epoch') as finished_at
), wrote as (
  select punctual.write_sent(m.ids, m.conversations, m.bodies, m.senders, m.recipients, m.sids, m.finished_at) as refusal
    from (select array_agg(id) as ids, array_agg(conversation_id::uuid) as conversations,
                 array_agg(body::text) as bodies, array_agg(sent_from) as senders,
                 array_agg(sent_to::text) as recipients, array_agg(sid) as sids, array_agg(finished_at) as finished_at
            from moved
          having count(*) > 0) m
)
select token, 'done' as what, null::text as refusal from named
 where has_attempt or known or token in (select token from recovered)
union all
select token, 'doubled', null from ledger where doubled
union all
select token, 'doubled', null from recovered where doubled
union all
select null, 'refused', refusal from wrote where refusal is not null
-- name: path_record_settled
-- Records every outcome that is not positive.
--
--   ask ─▶ done ─┬─▶ moved
--                ├─▶ ledger ─▶ places
--                └─▶ reaped
--
-- These are fenced: only the attempt that is in flight may move its row, and only out of `sending`. A row
-- somebody holds is skipped and missing from the answer; the caller comes back to it.
-- $1 ids  $2 tokens  $3 status  $4 outcome  $5 code  $6 category  $7 reason
-- $8 pause before the next try (us; null: none)  $9 whether it counts as an attempt
-- $10 request started  $11 answer came  $12 deferred until, and then the reason is why
-- $13 when the provider is asked first about what is in doubt (ms); $14 to whom, $15 from whom and
-- $16 with what text, by its SHA-256, that was sent, where it is known
-- $17 the text as it was sent or was to be
with ask as materialized (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[],
                       $7::text[], $8::bigint[], $9::bool[], $10::timestamptz[], $11::timestamptz[],
                       $12::timestamptz[], $14::text[], $15::text[], $16::bytea[], $17::text[])
             as a (id, token, status, outcome, code, category, reason, pause_us, counts,
                   started_at, finished_at, deferred_until, lookup_to, lookup_from, lookup_text, body)
   order by a.id
), done as materialized (
  select ask.*, m.body as row_body, m.lookup_to as row_to, m.lookup_from as row_from, m.lookup_text as row_text
    from ask
   cross join lateral (
     -- What is to be looked for while nobody knows, as it was sent: the row may be edited once it is
     -- `unconfirmed`.
     select m.body, btrim(m.to_number) as lookup_to, nullif(btrim(m.from_number), '') as lookup_from,
            case when ask.outcome = 'unknown'
                 then coalesce(sha256(convert_to(btrim(ask.body, E' \t\r\n'), 'UTF8')), sha256(convert_to(btrim(m.body, E' \t\r\n'), 'UTF8'))) end as lookup_text
       from public.scheduled_messages m
      where m.id = ask.id
        for no key update skip locked) m
  union all
  select ask.*, null, null, null, null from ask
   where not exists (select from public.scheduled_messages m where m.id = ask.id)
), ledger as (
  update punctual.attempts a
     set outcome = done.outcome, code = done.code, category = done.category, error = done.reason,
         started_at = done.started_at, finished_at = coalesce(done.finished_at, clock_timestamp()),
         -- Of a row that is gone nothing is looked for.
         next_lookup_at = case when done.row_text is not null
                            then clock_timestamp() + $13::bigint * interval '1 millisecond' end,
         lookup_to = case when done.row_text is not null then coalesce(done.lookup_to, done.row_to) end,
         lookup_from = case when done.row_text is not null then coalesce(done.lookup_from, done.row_from) end,
         lookup_text = case when done.row_text is not null then coalesce(done.lookup_text, done.row_text) end,
         -- Only what was rendered: the row has the rest.
         body = nullif(done.body, done.row_body),
         -- What may have been sent keeps its place in the user's day.
         quota_returned = a.day is not null and done.outcome <> 'unknown'
    from done
   where a.token = done.token and a.message_id = done.id and (a.outcome || '') is null
  returning a.user_id, a.day, a.quota_returned
), places as (
  -- In the order of the claims. Once, for the attempt was open until now.
  insert into punctual.daily_counts as c (user_id, day, count)
  select l.user_id, l.day, 0 from ledger l where l.quota_returned group by l.user_id, l.day order by l.user_id, l.day
  on conflict (user_id, day) do update
     set count = greatest(c.count - (select count(*) from ledger l
                                      where l.quota_returned and l.user_id = c.user_id and l.day = c.day)::int, 0)
), reaped as (
  -- Called unknown meanwhile, by whoever took this instance for dead. That its request did begin
  -- is to stand there all the same: what never began may be sent.
  update punctual.attempts a
     set started_at = done.started_at
    from done
   where a.token = done.token and a.message_id = done.id and a.outcome = 'unknown'
     and a.started_at is null and done.started_at is not null
), moved as (
  update public.scheduled_messages m
     set status = done.status,
         attempts = greatest(m.attempts - (not done.counts)::int, 0),
         next_attempt_at = case when done.status = 'pending'
                                then clock_timestamp() + done.pause_us * interval '1 microsecond' end,
         error_message = case when done.status in ('failed', 'unconfirmed') then done.reason
                              when done.deferred_until is not null then m.error_message
                              when done.status = 'pending' then coalesce(done.reason, m.error_message)
                              -- Why it came to that: the last refusal stays beside the verdict.
                              when done.status = 'cancelled' then m.error_message end,
         error_code = case when done.status = 'cancelled' or done.deferred_until is not null
                           then m.error_code else done.code end,
         deferred_until = coalesce(done.deferred_until, m.deferred_until),
         deferred_reason = case when done.deferred_until is not null then done.reason
                                else m.deferred_reason end,
         cancel_reason = case when done.status = 'cancelled' then done.reason end,
         cancelled_at = case when done.status = 'cancelled' then clock_timestamp() end,
         updated_at = clock_timestamp()
    from done
   where m.id = done.id and m.status || '' = 'sending'
     and exists (select from punctual.attempts a
                  where a.token = done.token and a.message_id = m.id and (a.outcome || '') is null)
  returning done.token, m.status, m.version, m.attempts, m.priority, m.channel,
            greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due
)
select token, status::text, version::bigint, attempts::int, due, priority::text, channel::text from moved
union all
select token, null, null, null, null, null, null from done
-- name: path_sample
-- What only the database knows and somebody should watch. The counts are bounded: they are made
-- every few seconds.
-- $1 count at most
select pg_notification_queue_usage() as notify_queue,
       (select count(*) from (select from public.scheduled_messages
                               where status = 'unconfirmed' limit $1) u)::float8 as in_doubt,
       (select count(*) from (select from punctual.outbox limit $1) o)::float8 as outbox
-- name: path_settings_keep
-- What this installation's settings are; whoever started last is right.
-- $1 zone  $2 business hours as they were written  $3 when the week opens (us from Monday 00:00)
-- $4 when it closes
insert into punctual.settings as s (timezone, business_hours, open_from, open_until)
values ($1::text, $2::text, $3::bigint[], $4::bigint[])
on conflict (one) do update
   set timezone = excluded.timezone, business_hours = excluded.business_hours,
       open_from = excluded.open_from, open_until = excluded.open_until, updated_at = clock_timestamp()
-- name: path_suppress
-- Notes who opted out from which sender, and cancels what is pending for these pairs. What
-- somebody holds is skipped: its claim looks here.
-- $1 our senders  $2 their numbers, one each  $3 reason  $4 who sends where a row names nobody
with pair as (
  select distinct ours, theirs from unnest($1::text[], $2::text[]) as p (ours, theirs)
), noted as (
  insert into punctual.suppressions (our_number, their_number, reason)
  select ours, theirs, $3 from pair order by theirs, ours
  on conflict do nothing
), free as materialized (
  select m.id
    from (select ours, theirs from pair order by theirs, ours) p
   cross join lateral (
     select m.id
       from public.scheduled_messages m
      where m.status = 'pending' and btrim(m.to_number) = p.theirs
        and coalesce(nullif(btrim(m.from_number), ''), $4::text) = p.ours
        for no key update skip locked) m
)
update public.scheduled_messages m
   set status = 'cancelled', cancel_reason = $3, cancelled_at = clock_timestamp(),
       updated_at = clock_timestamp()
  from free
 where m.id = free.id
-- name: path_template_uses
-- Adds the uses of templates since the last time to the app's counts.
select punctual.count_template_uses()
 where exists (select from punctual.template_uses)
-- name: path_unsuppress
-- The recipient wants to hear from these senders again. What was cancelled stays cancelled.
-- $1 our senders  $2 their number
delete from punctual.suppressions
 where their_number = $2::text and our_number = any ($1::text[])
