-- name: app_attempt_hold
-- Locks the attempt with a sid until the end of the transaction.
-- $1 sid
select from punctual.attempts a where a.provider_sid = $1::text for share
-- name: app_follow_missed
-- Applies to messages the changes of calendar events, and opt-outs, that they have missed; returns to how many.
-- $1 at most
select punctual.follow_missed($1) as followed
 where exists (select from punctual.missed_event_changes)
-- name: app_outbox_again
-- Records that the app's tables refused a write again, and when it will be retried.
-- $1 id  $2 error  $3 the app's message  $4 pause (ms)
update punctual.outbox
   set attempts = attempts + 1, last_error = $2, app_error = $3,
       next_attempt_at = clock_timestamp() + $4::bigint * interval '1 millisecond'
 where id = $1
-- name: app_outbox_done
-- Deletes a write that succeeded from the outbox.
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
-- Updates the app's rows to the statuses that attempts have reached; what they refuse is put in the outbox.
-- Returns why.
-- $1 scheduled messages  $2 their sids
select punctual.tell_statuses($1::uuid[], $2::text[])
-- name: app_user_cancel
-- Cancels a message, as a user does.
-- $1 id
update public.scheduled_messages set status = 'cancelled' where id = $1
-- name: app_user_delete
-- Deletes a message, as a user does.
-- $1 id
delete from public.scheduled_messages where id = $1
-- name: app_user_edit
-- Changes the text of a pending message, as a user does.
-- $1 id  $2 body
update public.scheduled_messages set body = $2 where id = $1 and status || '' = 'pending'
-- name: app_user_fate
-- The status of a message, and the reason for it.
-- $1 id
select status::text, coalesce(cancel_reason, error_message)::text as reason
  from public.scheduled_messages where id = $1
-- name: app_user_insert
-- As the app inserts a message, with or without a user.
-- $1 user  $2 to  $3 body  $4 scheduled at
insert into public.scheduled_messages (user_id, to_number, body, scheduled_at)
values ($1, $2, $3, $4)
returning id
-- name: app_user_prefer
-- Writes the preferences of a user whose phone has been verified.
-- $1 user  $2 zone  $3 quiet from, $4 until (us since midnight there)  $5 how many a day
insert into public.user_sms_preferences
       (user_id, phone_verified, timezone, quiet_hours_start, quiet_hours_end, daily_sms_limit)
values ($1, true, $2, time '00:00' + $3::bigint * interval '1 microsecond',
        time '00:00' + $4::bigint * interval '1 microsecond', $5)
-- name: app_user_reschedule
-- Changes the time of a pending message, as a user does.
-- $1 id  $2 scheduled at
update public.scheduled_messages set scheduled_at = $2 where id = $1 and status || '' = 'pending'
-- name: app_user_schedule
-- As a person schedules a message.
-- $1 to  $2 from  $3 body  $4 scheduled at  $5 user  $6 zone  $7 send before  $8 priority
-- $9 dedup key  $10 type  $11 template  $12 its variables  $13 channel
insert into public.scheduled_messages
       (to_number, from_number, body, scheduled_at, user_id, timezone, send_before, priority,
        dedup_key, message_type, template_id, template_vars, channel)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::jsonb, $13)
returning id
-- name: app_user_separator
-- What divides a text into parts, as the running daemon has it.
select punctual.part_separator()
-- name: app_user_templates
-- The template that a person names, and a few others.
-- $1 key or id  $2 at most
select id, name, message_template, required_vars, max_length, is_active, is_it
  from punctual.templates_named($1, $2)
-- name: app_write_messages
-- Writes messages that waited in the outbox into the app's tables; returns why they are not written yet, if so.
-- $1 scheduled messages  $2 conversations  $3 bodies  $4 from  $5 to  $6 sids (empty: not known)  $7 sent at
select coalesce(w.refusal, case when w.held <> '{}' then 'the conversation is held by another transaction' end), w.words
  from punctual.write_messages($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                               $7::timestamptz[]) w
-- name: app_write_sent
-- Writes sent messages into the app's tables; what these refuse is put in the outbox. Returns why.
-- $1 scheduled messages  $2 conversations  $3 bodies  $4 from  $5 to  $6 sids (empty: not known)  $7 sent at
select punctual.write_sent($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
-- name: app_write_statuses
-- Updates rows of the app's that waited in the outbox; returns why they are not updated yet, if so.
-- $1 sids
select coalesce(w.refusal, case when w.held <> '{}' then 'the row is held by another transaction' end), w.words
  from punctual.write_statuses($1::text[]) w
-- name: ledger_attempts_without_outcome
-- How many of these attempts have no outcome in the ledger, or are not in it.
-- $1 tokens
select count(*) as n
  from unnest($1::uuid[]) as t (token)
 where not exists (select from punctual.attempts a where a.token = t.token and a.outcome is not null)
-- name: ledger_duplicate
-- Which of these attempts have another accepted attempt at the same message, neither of them reported as
-- undelivered: then the text was sent twice.
-- $1 tokens
select a.token
  from punctual.attempts a
 where a.token in (select unnest($1::uuid[])) and not coalesce(a.message_status in ('undelivered', 'failed', 'cancelled'), false) and exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted' and not coalesce(o.message_status in ('undelivered', 'failed', 'cancelled'), false))
-- name: ledger_instance_beat
-- A heartbeat; refused in a database of another history (check_history).
-- $1 instance  $2 its number  $3 heartbeats that are there  $4 attempts that were claimed
-- $5 attempts that have outcomes
update punctual.instances i
   set heartbeat_at = clock_timestamp(), beats = greatest(i.beats, $2::bigint)
 where i.id = $1::uuid and punctual.check_history($1::uuid, $3::bigint, $4::uuid[], $5::uuid[])
-- name: ledger_instance_journal
-- Whether the journal of this instance proves nothing, though its file says otherwise.
-- $1 instance  $2 whether it does not
update punctual.instances set journal_incomplete = $2::bool where id = $1::uuid
-- name: ledger_instance_publish
-- What an instance publishes of itself, for forecasts.
-- $1 instance  $2 its state
update punctual.instances set state = $2::jsonb where id = $1::uuid
-- name: ledger_instance_start
-- Registers an instance, or registers it again after it was deregistered.
-- $1 instance  $2 version of the program
insert into punctual.instances (id, version, beats) values ($1::uuid, $2::text, 0)
on conflict (id) do update set heartbeat_at = clock_timestamp(), stopped_at = null,
  beats = coalesce(instances.beats, 0)
-- name: ledger_instance_stop
-- Deregisters an instance that shuts down.
-- $1 instance
update punctual.instances set heartbeat_at = clock_timestamp(), stopped_at = clock_timestamp() where id = $1::uuid
-- name: ledger_instances
-- The instances that run, and those that were heard within the last hour and have not stopped by themselves, for people.
-- $1 heartbeat time-out (ms)  $2 rows at most
select i.id, i.started_at, i.heartbeat_at, clock_timestamp() as now,
       i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond' as is_running,
       coalesce(i.program, 1) >= (select max(m.oldest_program) from punctual.migrations m) as may_claim,
       array(select jsonb_array_elements_text(case when jsonb_typeof(i.state -> 'missing') = 'array'
                                                   then i.state -> 'missing' end)) as missing
  from punctual.instances i
 where i.stopped_at is null
   and i.heartbeat_at > clock_timestamp() - interval '1 hour'
 order by i.started_at, i.id
 limit $2
-- name: ledger_look_up_known
-- Which of these sids are in the ledger: what belongs to one attempt is no proof for another.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 cross join lateral (
   (select from punctual.attempts a where a.provider_sid = s.sid limit 1)
   union all
   (select from punctual.receipts r where r.provider_sid = s.sid limit 1)
   limit 1) known
-- name: ledger_look_up_known_app
-- Which of these sids are in the app's table: mainly messages that it sent itself. Where the table has no such
-- column the name is that of `none`.
-- $1 sids
select s.sid
  from unnest($1::text[]) as s (sid)
 cross join (select null::text as twilio_sid) none
 where exists (select from public.messages m where twilio_sid = s.sid)
-- name: ledger_look_up_put_back
-- unconfirmed -> pending, by a policy or a provider that permits it, for rows that look_up_put_back_rows.sql has locked: only by
-- the attempt that left the row unconfirmed, which stays uncertain. Other instances are notified, unless the queue
-- of notifications is nearly full; then the sweeps find it.
-- $1 messages  $2 tokens  $3 what permits it  $4 sentences
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as a (id, token, permit, sentence)
), ledger as (
  update punctual.attempts a
     set settled_by = ask.permit, settled_at = clock_timestamp()
    from ask
   where a.token = ask.token and a.message_id = ask.id and a.outcome = 'unknown'
     and a.settled_by is null
     and a.number = (select max(b.number) from punctual.attempts b where b.message_id = ask.id)
  returning a.message_id, ask.sentence
), moved as (
  update public.scheduled_messages m
     set status = 'pending', next_attempt_at = case when m.parts_done > 0 then m.next_attempt_at end,
         error_message = ledger.sentence,
         updated_at = clock_timestamp()
    from ledger
   where m.id = ledger.message_id and m.status || '' = 'unconfirmed'
  returning m.id
)
select id,
       case when pg_notification_queue_usage() < 0.9 then pg_notify('punctual', 'ids ' || id)::text end
  from moved
-- name: ledger_look_up_put_back_rows
-- Locks unconfirmed rows that have attempts left, and returns their times: `policy::too_late` decides, and
-- look_up_put_back.sql writes, in the same transaction. A locked row is skipped, and tried again at the next
-- look-up.
-- $1 messages  $2 the sender for rows that name none
select m.id, greatest(case when m.parts_done = 0 and (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms', 'email', 'push', 'in_app') then greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) else 'infinity' end, case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end), m.send_before, clock_timestamp()
  from public.scheduled_messages m
 cross join (select $2::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
 where m.id = any ($1::uuid[]) and m.status || '' = 'unconfirmed' and m.attempts < coalesce(m.max_attempts, 3)
 order by m.id
   for no key update of m skip locked
-- name: ledger_look_up_rivals
-- Other attempts that may have caused a message with this text to this number: those with an uncertain outcome,
-- and those whose request may be in flight. For each of the given attempts, when each of its rivals can have
-- begun at the earliest.
-- $1 attempts  $2 to  $3 the texts' SHA-256
with ask as (
  select * from unnest($1::uuid[], $2::text[], $3::bytea[]) with ordinality
             as a (token, to_number, text, n)
)
select ask.n, coalesce(a.started_at, a.claimed_at) as since
  from ask
  join punctual.attempts a
    on a.lookup_text = ask.text and a.lookup_to = ask.to_number
 where a.outcome = 'unknown' and a.token <> ask.token
union all
select ask.n, coalesce(a.started_at, a.claimed_at)
  from punctual.attempts a
  join public.scheduled_messages m on m.id = a.message_id
  join ask on ask.to_number = btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000')
 where a.outcome is null and a.token <> ask.token
   -- A template may be rendered to any text.
   and (m.template_vars is not null
        or coalesce(sha256(convert_to(btrim(a.body, E' \t\r\n'), 'UTF8')), sha256(convert_to(btrim(m.body, E' \t\r\n'), 'UTF8'))) = ask.text)
-- name: ledger_look_ups_done
-- Records the results of look-ups, unless something else has happened to the attempt meanwhile: where nothing
-- is recorded, the look-up is repeated once its reservation is over.
-- $1 tokens  $2 reserved until  $3 responses so far  $4 pause until the next (us; null: none)  $5 results
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
-- The look-ups that are due: attempts with an uncertain outcome, and accepted ones without a final status.
-- Reserved for a while, so that no other instance makes the same one; if the instance dies meanwhile, another
-- takes it over. What is locked is skipped.
-- The statement's time, not the clock's: only that can end the scan of the index.
-- $1 uncertain at most  $2 accepted at most  $3 how long they are reserved for this instance (ms)
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
       m.status::text, m.in_doubt::text, m.channel::text, m.account::text,
       coalesce(t.lookup_from, m.from_number)::text as lane_address
  from taken t
  left join public.scheduled_messages m on m.id = t.message_id
 order by t.outcome desc, t.token
-- name: ledger_members
-- The instances that run: with a heartbeat within the time-out, and not stopped. Those whose program is too old for the
-- schema claim nothing.
-- $1 heartbeat time-out (ms)  $2 rows at most
select i.id,
       coalesce(i.program, 1) >= (select max(m.oldest_program) from punctual.migrations m) as may_claim
  from punctual.instances i
 where i.stopped_at is null
   and i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond'
 order by i.id
 limit $2
-- name: ledger_orphaned_claims
-- Open claims of this instance whose lease is over. The daemon knows what it is sending; a claim that it does
-- not know was committed after its response was given up, and never began.
-- $1 instance  $2 rows at most
select a.token, a.message_id
  from punctual.attempts a
 where a.outcome is null and a.lease_until < clock_timestamp() and a.instance = $1::uuid
 order by a.lease_until
 limit $2
-- name: ledger_quarantine_account
-- Records that everything these instances sent is in the ledger. With the last of them the quarantine ends.
-- $1 this instance  $2 the instances  $3 heartbeats of this one  $4 attempts that were claimed
-- $5 attempts that have outcomes: only in the history that this instance knows
update punctual.quarantine q
   set unaccounted = array(select u.id from unnest(q.unaccounted) as u (id) where u.id <> all ($2::uuid[])),
       ended_at = case when q.unaccounted <@ $2::uuid[] then clock_timestamp() end
 where q.ended_at is null and punctual.check_history($1::uuid, $3::bigint, $4::uuid[], $5::uuid[])
returning q.ended_at is not null as has_ended
-- name: ledger_quarantine_begin
-- Puts in quarantine what is due before a moment. An instance that ran when the history changed is unaccounted
-- for until it reports that everything it sent is recorded: this one, those that it knew to run, and those that
-- the database shows as running when its history ends. If the database does not even have the first instance
-- that this one has heard of, what it lost reaches back to before that one began, and others may have run: the
-- nil id. What was cleared before may have been sent since.
-- $1 due before  $2 this instance  $3 instances known to run  $4 heartbeat time-out (ms)
-- $5 this instance, or the one before it that kept its journal; null: not even that is known
-- $6 all instances that it has heard of
with uncleared as (
  delete from punctual.quarantine_cleared
), ran as (
  select array_agg(distinct r.id) as ids
    from (select unnest($3::uuid[]) as id
          union all select $2::uuid
          union all
          -- Began and ended after the end of the restored history: only this instance has heard of them.
          select s.id from unnest($6::uuid[]) as s (id)
           where not exists (select from punctual.instances i where i.id = s.id)
          union all
          select '00000000-0000-0000-0000-000000000000'
           where not exists (select from punctual.instances i where i.id = $5::uuid)
          union all
          select i.id from punctual.instances i
           where i.stopped_at is null
             and i.heartbeat_at > (select max(l.heartbeat_at) from punctual.instances l
                                   where l.stopped_at is null and l.id <> $2::uuid)
                                  - $4::bigint * interval '1 millisecond') r
)
insert into punctual.quarantine as q (due_before, noticed_by, unaccounted)
select $1::timestamptz, $2::uuid, ran.ids from ran
on conflict (one) do update
   set due_before = case when q.ended_at is null then greatest(q.due_before, excluded.due_before)
                         else excluded.due_before end,
       unaccounted = case when q.ended_at is null
                          then array(select distinct unnest(q.unaccounted || excluded.unaccounted))
                          else excluded.unaccounted end,
       began_at = case when q.ended_at is null then q.began_at else clock_timestamp() end,
       noticed_by = excluded.noticed_by, ended_at = null
returning q.due_before
-- name: ledger_quarantine_clear
-- Clears messages from the quarantine.
-- $1 messages
insert into punctual.quarantine_cleared (message_id) select distinct unnest($1::uuid[])
on conflict (message_id) do nothing
-- name: ledger_quarantine_cleared
-- Messages that instances have cleared, in the order in which they did.
-- $1 cleared at, and $2 message, of the last row that was read (null: from the first)  $3 rows at most
select c.message_id, c.cleared_at
  from punctual.quarantine_cleared c
 where (c.cleared_at, c.message_id) > (coalesce($1::timestamptz, '-infinity'),
                                       coalesce($2::uuid, '00000000-0000-0000-0000-000000000000'))
 order by c.cleared_at, c.message_id
 limit $3
-- name: ledger_quarantine_end
-- Everything in it is decided, or a person releases it.
-- $1 due before: one that began since continues
update punctual.quarantine q
   set ended_at = clock_timestamp()
 where q.ended_at is null and q.due_before <= $1::timestamptz
-- name: ledger_quarantine_read
-- The quarantine: what is in it, which instances are unaccounted for, and whether it has ended.
select q.due_before, q.unaccounted, q.ended_at is not null as has_ended from punctual.quarantine q
-- name: ledger_quarantine_rows
-- The rows in quarantine after a restore: pending, and due before its end. In the order of their numbers, so
-- that rows which could be mistaken for each other come together; of one number the soonest first.
-- $1 due before  $2 after this number (null: from the first)  $3 rows at most
select m.id, btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000')::text as number,
       nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '')::text as from_number,
       -- The rendered text of a template is not known here.
       case when m.template_vars is null then sha256(convert_to(btrim(m.body, E' \t\r\n'), 'UTF8')) end as text,
       -- It cannot have been sent before it existed.
       coalesce(least(m.created_at, greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)), '-infinity')
         as since,
       greatest(m.created_at, m.requeued_at) as touched, m.version::bigint as version, m.channel::text, m.account::text
  from public.scheduled_messages m
 where m.status = 'pending'
   and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < $1::timestamptz
   and ($2::text is null or btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C" > $2::text)
 order by btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C",
          greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), m.id
 limit $3
-- name: ledger_reap
-- Claims of instances that are dead: the lease is over, the heartbeat is stale, and database and reaper have
-- both been up for longer than a heartbeat may be late, so that the silence is the other instance's. It is
-- unknown whether the provider has the message: unconfirmed.
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
  select m.id, btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') as lookup_to, nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') as lookup_from,
         -- Only the dead instance knew what a template was rendered to.
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
         -- The lease is over: the provider's list has had time to show the message.
         lookups = 0, next_lookup_at = clock_timestamp(),
         lookup_to = free.lookup_to, lookup_from = free.lookup_from,
         -- The ledger has what a part says.
         lookup_text = case when free.id is not null then coalesce(sha256(convert_to(btrim(a.body, E' \t\r\n'), 'UTF8')), free.lookup_text) end
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
-- Records on attempts, which are locked, the stage that their messages have reached. Any report of the
-- provider's about a message proves that it has it, whatever the response to the request was or will be.
-- $1 tokens  $2 sids  $3 the provider's terms  $4 stages  $5 when the message is looked up if nothing more is
-- reported (ms; null: never)  $6 whether it did not arrive
with report as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bool[])
             as t (token, sid, word, stage, ask_ms, failed)
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = report.sid, receipt_status = report.word,
         message_status = report.stage, finished_at = coalesce(a.finished_at, clock_timestamp()),
         code = null, category = null, error = null,
         next_lookup_at = case when report.ask_ms is null then null
                            when a.outcome = 'accepted' and a.next_lookup_at is not null then a.next_lookup_at
                            else clock_timestamp() + report.ask_ms * interval '1 millisecond' end,
         lookups = case when a.outcome = 'accepted' then a.lookups else 0 end,
         lookup_to = null, lookup_from = null, lookup_text = null,
         -- What arrives after a failure is counted again.
         quota_returned = a.day is not null and report.failed
    from report
    join punctual.attempts was on was.token = report.token
   where a.token = report.token
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
-- name: ledger_receipts_alone
-- Waits for a locked row, for the lock time-out at most and with no other lock: the record of the request's own
-- outcome is often being written at this moment.
-- $1 message
select from public.scheduled_messages m where m.id = $1::uuid for no key update
-- name: ledger_receipts_alone_attempt
-- The same for the attempt, after the row.
-- $1 token
select from punctual.attempts a where a.token = $1::uuid for no key update
-- name: ledger_receipts_attempts
-- Locks the attempts, whose rows are locked by now: a statement of its own, so that it sees what the previous
-- owner of those locks has committed. What is locked is skipped.
-- $1 tokens
select a.token, a.message_id, a.outcome, a.provider_sid, a.message_status, a.recovered,
       -- The text as it was sent, where a template was rendered.
       a.body, a.part,
       -- Of a message of several parts: tries at this one that count, whether a later one may have been accepted, and
       -- what was reported of each part.
       case when a.part > 0 or a.texts is not null then (
         select count(*)::int from punctual.attempts b
          where b.message_id = a.message_id and b.part = a.part
            and b.outcome in ('accepted', 'refused', 'unknown')) else 0 end as tries,
       case when a.part > 0 or a.texts is not null then exists (
         select from punctual.attempts b
          where b.message_id = a.message_id and b.part = a.part and b.number > a.number
            and (b.outcome is null or b.outcome in ('accepted', 'unknown'))) else false end as superseded,
       case when a.part > 0 or a.texts is not null then array(
         select case when b.is_delivered then 'delivered' when b.is_undelivered then 'undelivered' end
           from (select a.message_id as id) m
          cross join lateral generate_series(0, cardinality((select kept.texts from punctual.attempts kept
               where kept.message_id = m.id and kept.texts is not null
               order by kept.outcome = 'accepted' desc nulls last, kept.number desc limit 1)) - 1) n (part)
           left join (
             select b.part, bool_or(b.message_status = 'delivered') as is_delivered, bool_and(coalesce(b.message_status in ('undelivered', 'failed', 'cancelled'), false)) as is_undelivered
               from punctual.attempts b
              where b.message_id = a.message_id and b.outcome = 'accepted'
              group by b.part) b on b.part = n.part
          order by n.part) end as stages,
       a.number = (select max(b.number) from punctual.attempts b where b.message_id = a.message_id)
         as latest,
       exists (select from public.scheduled_messages m
                where m.id = a.message_id and m.requeued_at > a.claimed_at) as requeued_since
  from punctual.attempts a
 where a.token in (select unnest($1::uuid[]))
 order by a.token
   for no key update of a skip locked
-- name: ledger_receipts_keep
-- Keeps the reports that changed or contradicted something.
-- $1 messages  $2 tokens  $3 sids  $4 the provider's terms  $5 its codes  $6 effects  $7 rows' statuses
insert into punctual.receipts (message_id, token, provider_sid, status, error_code, effect, row_status)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[])
on conflict (token, provider_sid, status) do nothing
-- name: ledger_receipts_move
-- Moves rows, which are locked, to the statuses that follow from reports.
-- $1 messages  $2 statuses  $3 sids  $4 errors  $5 the provider's codes  $6 with status pending: how long
-- not to try (us)  $7 attempts that do not count  $8 of a message of several parts: how many are accepted (null: as it
-- was)  $9 and tries at the one that is next
with move as (
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::int[], $8::int[],
                       $9::int[])
             as t (id, status, sid, error, code, pause_us, uncounted, parts_done, attempts)
)
update public.scheduled_messages m
   set status = move.status,
       twilio_sid = case when move.status not in ('pending', 'cancelled') then move.sid end,
       -- One that has ended stays so, where only a part of it turns out to be accepted.
       error_message = case when m.status = 'failed' and move.status = 'failed' then m.error_message else move.error end,
       error_code = case when m.status = 'failed' and move.status = 'failed' then m.error_code else move.code end,
       attempts = coalesce(move.attempts, greatest(m.attempts - move.uncounted, 0)),
       parts_done = coalesce(move.parts_done, m.parts_done),
       sent_at = case when move.status = 'failed' then m.sent_at
                      when move.status in ('sent', 'delivered') then coalesce(m.sent_at, clock_timestamp()) end,
       delivered_at = case when move.status = 'delivered' then clock_timestamp() end,
       next_attempt_at = clock_timestamp() + move.pause_us * interval '1 microsecond',
       cancelled_at = case when move.status = 'cancelled' then m.cancelled_at end,
       cancel_reason = case when move.status = 'cancelled' then m.cancel_reason end, updated_at = clock_timestamp()
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
-- Which attempts these reports are about: by the ids they carry, or without them by the sid. An attempt that
-- the database had lost and recovered may have another token than its request had. Their rows are locked in the
-- order of their ids; what is locked already is skipped, and its report is merged alone later.
-- $1 tokens  $2 messages  $3 sids, one for each report (token and message null: identified by its sid)
-- $4 the sender for rows that name none
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
         m.parts_done::smallint, coalesce(m.parts_total, 1)::smallint as parts_total,
         greatest(case when m.parts_done = 0 and (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms', 'email', 'push', 'in_app') then greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) else 'infinity' end, case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end) as late_from, m.send_before,
         clock_timestamp() as now, (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms') as has_app_rows
    from public.scheduled_messages m
   cross join (select $4::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
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
-- name: ledger_recover_known
-- Whether the ledger has any of these attempts: then their journal belongs to this data, whatever the database
-- was named when it was written.
-- $1 tokens
select exists (select from punctual.attempts a where a.token = any ($1::uuid[]))
-- name: ledger_recover_open
-- Attempts of a dead instance without a certain outcome: those that it had open, and those of them that were
-- reaped since. For those that it recorded as unknown itself, the ledger has when the request began.
-- In the order of their tokens, a page at a time.
-- $1 instance  $2 rows at most  $3 those after this token (null: from the first)
with open as (
  select a.token, a.message_id, a.number, true as in_flight
    from punctual.attempts a
   where a.outcome is null and a.instance = $1::uuid and coalesce(a.token > $3::uuid, true)
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
  left join public.scheduled_messages m on m.id = open.message_id
 order by open.token
 limit $2
-- name: ledger_recover_unbegun
-- Releases attempts that were certainly not accepted, also if they were made unconfirmed meanwhile: only the
-- journal of the instance that had claimed them can show that. An attempt that has been settled since, or that
-- is known to have begun, stays as it is; and so does a row with another open attempt. A locked row is skipped
-- and missing in the result.
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
     set status = 'pending', attempts = greatest(m.attempts - 1, 0),
         next_attempt_at = case when m.parts_done > 0 then m.next_attempt_at end,
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
-- Records a manual decision in the ledger; the row of the message is locked. That it was sent is recorded for
-- the latest attempt; anything else for all of them, whose outcome stays uncertain and which are still looked
-- up: proof may come later.
-- $1 message  $2 whether it was sent  $3 its sid, if it is known  $4 who decided
-- $5 when that sid is looked up (ms)
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
-- Changes an unconfirmed row, which is locked, by a manual decision. For a message that is to be sent again,
-- lateness counts from now. Of a message of several parts it was a part that was sent: the next one is due.
-- $1 id  $2 status  $3 sid  $4 a sentence
update public.scheduled_messages m
   set status = case when p.goes_on then 'pending' else $2::text end,
       parts_done = case when m.parts_total > 1 and $2::text = 'sent' then m.parts_done + 1 else m.parts_done end,
       attempts = case when p.goes_on then 0 else m.attempts end,
       twilio_sid = case when $2::text = 'sent' and not p.goes_on then $3::text end,
       sent_at = case when $2::text = 'sent' and not p.goes_on then clock_timestamp() end,
       error_message = case when $2::text <> 'sent' then $4::text end,
       error_code = null,
       cancel_reason = case when $2::text = 'cancelled' then $4::text end,
       cancelled_at = case when $2::text = 'cancelled' then clock_timestamp() end,
       requeued_at = case when $2::text = 'pending' then clock_timestamp() else m.requeued_at end,
       next_attempt_at = case when p.goes_on then clock_timestamp() end, updated_at = clock_timestamp()
  from (select m.parts_done + 1 < coalesce(m.parts_total, 1) and $2::text = 'sent' as goes_on
          from public.scheduled_messages m where m.id = $1::uuid) p
 where m.id = $1::uuid and m.status || '' = 'unconfirmed'
returning clock_timestamp() as now, p.goes_on
-- name: ledger_resolve_row
-- Locks the row that a person decides about.
-- The text is the one of the latest attempt, where a template was rendered.
-- $1 id
select m.status::text, (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms') as has_app_rows, m.conversation_id::uuid, m.to_number::text, m.from_number::text,
       coalesce((select a.body from punctual.attempts a where a.message_id = m.id
                  order by a.number desc limit 1), m.body)::text as body
  from public.scheduled_messages m
 where m.id = $1::uuid
   for no key update
-- name: ledger_resolve_sid
-- Whether a sid belongs to another message.
-- $1 sid  $2 message
select exists (select from punctual.attempts a
                where a.provider_sid = $1::text and a.message_id <> $2::uuid)
-- name: ledger_restored_mark
-- The database has become an older one: for each message that it shows as sent, a later attempt may have been
-- sent too, and its record lost. So none of these is retried when it is reported as not delivered. It reads the
-- whole ledger, once for each restore.
-- $1 the stages after which nothing more is reported
update punctual.attempts a
   set recovered = true
 where a.outcome = 'accepted' and not a.recovered and coalesce(a.message_status <> all ($1::text[]), true)
-- name: ledger_retain
-- One step of a walk through what is long over, which deletes it (punctual.retain).
-- $1 the part  $2 where the walk has come to  $3 and $4 how many seconds messages and texts are kept; null: for good
-- $5 rows that are read
select r.next, r.deleted, r.blanked
  from punctual.retain($1::text, $2::text, $3::float8 * interval '1 second', $4::float8 * interval '1 second', $5::int) r
-- name: ledger_story_attempts
-- The attempts at a message, for its history.
-- $1 message
select a.number, a.part, a.token, a.instance, a.claimed_at, a.lease_until, a.started_at,
       a.finished_at, a.outcome, a.provider_sid, a.code, a.category, a.error, a.receipt_status,
       a.lookups, a.looked_up_at, a.lookup_note, a.next_lookup_at, a.settled_by, a.settled_at
  from punctual.attempts a
 where a.message_id = $1::uuid
 order by a.number, a.part
-- name: ledger_story_changes
-- Who changed a message, for its history: the latest changes, oldest first.
-- $1 message
select h.at, h.op, h.role, h.actor, h.subject, h.application, v.columns, v.old, v.new
  from (select * from punctual.history o where o.message_id = $1::uuid order by o.id desc limit 200) h
 cross join lateral (
   select coalesce(array_agg(k order by k), '{}') as columns, coalesce(array_agg(h.old ->> k order by k), '{}') as old,
          coalesce(array_agg(h.new ->> k order by k), '{}') as new
     from jsonb_object_keys(h.old) k) v
 order by h.id
-- name: ledger_story_notes
-- The changes that came too late for a message. $1 id
select n.at, n.note
  from punctual.notes n
 where n.message_id = $1::uuid
 order by n.id
-- name: ledger_story_outbox
-- The writes for a message that the app's tables have refused, for its history.
-- $1 message
select o.attempts, o.next_attempt_at, o.last_error, o.app_error, o.created_at
  from punctual.outbox o
 where o.message_id = $1::uuid
 order by o.id
-- name: ledger_story_receipts
-- The reports of the provider about a message, for its history.
-- $1 message
select a.number, r.provider_sid, r.status, r.error_code, r.effect, r.row_status, r.received_at
  from punctual.receipts r
  left join punctual.attempts a on a.token = r.token
 where r.message_id = $1::uuid
 order by r.id
-- name: ledger_story_row
-- The row of a message, for its history, with what the claim would read with it.
-- $1 id  $2 the sender for rows that name none
select m.id, m.status, m.channel::text, m.to_number, m.scheduled_at, m.deferred_until, m.deferred_reason,
       m.next_attempt_at, m.requeued_at, m.send_before, m.sent_at, m.delivered_at, m.cancelled_at,
       m.cancel_reason, m.error_message, m.error_code, m.twilio_sid, m.attempts, m.max_attempts,
       m.version, m.in_doubt::text, coalesce(a.body, m.body)::text as text,
       -- Of a message of several parts: how many were sent, and the texts that were kept; before the first of them the
       -- text is divided as the running daemon would.
       m.parts_done::smallint, coalesce(m.parts_total, 1)::smallint as parts_total,
       case when m.parts_total > 1 then (select kept.texts from punctual.attempts kept
               where kept.message_id = m.id and kept.texts is not null
               order by kept.outcome = 'accepted' desc nulls last, kept.number desc limit 1) end as texts,
       coalesce((select s.part_separator from punctual.settings s), '[BUBBLE]') as separator,
       m.timezone::text as timezone, p.timezone as their_timezone,
       greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
       greatest(greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end), case when paused.until is not null then least(paused.until, clock_timestamp()) end)
         as wanted_at,
       (select string_agg(format('%s, by %s', replace(p.scope, '_', ' '), p.who) || coalesce(': ' || p.why, ''), '; '
                          order by p.scope)
          from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
          join punctual.pauses p on p.scope = key.scope and p.what = key.what and p.until > clock_timestamp()
         where m.status = 'pending') as paused_by,
       pace.scope || ' ' || pace.what as pace
  from public.scheduled_messages m
 cross join (select $2::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
 cross join lateral (select case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end as until offset 0) paused
  -- The last rendered text is, or was, sent in place of the body.
  left join lateral (select body from punctual.attempts
                      where message_id = m.id and body is not null
                      order by number desc limit 1) a on true
  left join lateral (select (f.facts).timezone
                       from punctual.facts_of(array[m.id], array[m.id], array[m.user_id],
                                              array[m.calendar_event_id::text]) f) p on true
  left join punctual.paces pace on pace.scope = 'campaign' and pace.what = m.campaign_id::text
 where m.id = $1::uuid
-- name: ledger_tell_ids
-- Notifies every instance of a row that the daemon itself has moved back to `pending`: its own writes do not
-- notify. Not if the queue is nearly full: the commit would fail.
-- $1 message
select case when pg_notification_queue_usage() < 0.9 then pg_notify('punctual', 'ids ' || $1::uuid)::text end
-- name: ledger_times_ahead
-- Corrects what a clock of the database that ran ahead, and was set right, has left in the future. Nothing that has
-- happened was later than now: a heartbeat and a claim were now at the latest, and a lease is as long from there. Else a
-- dead instance would count as running, and its claims as leased, until the clock comes to these times again; a pace
-- would be as late. Only while the clock is known. What is locked is corrected by a later call.
-- $1 rows of each kind at most
with instances as (
  update punctual.instances i
     set started_at = least(i.started_at, clock_timestamp()), heartbeat_at = least(i.heartbeat_at, clock_timestamp())
   where i.id in (select r.id from punctual.instances r
                   where r.stopped_at is null
                     and greatest(r.started_at, r.heartbeat_at) > clock_timestamp() + interval '1 s'
                   limit $1::bigint
                     for no key update skip locked)
  returning i.id
), claims as (
  update punctual.attempts a
     set lease_until = clock_timestamp() + (a.lease_until - a.claimed_at)
   where a.token in (
           select t.token from punctual.attempts t
            -- Only these are locked, and none as long as the clock is right.
            where t.token in (
                    select latest.token
                      from (select l.token, l.claimed_at, l.lease_until from punctual.attempts l
                             where l.outcome is null
                             order by l.lease_until desc
                             limit $1::bigint) latest
                     -- When it was claimed stays as it was written; a lease that was corrected ends before that.
                     where latest.claimed_at > clock_timestamp() + interval '1 s'
                       and latest.lease_until > latest.claimed_at)
              for no key update skip locked)
     and (a.outcome || '') is null
  returning a.token
), paces as (
  -- At the end of the longest gap the next slot begins at the latest, and a slot is a second.
  update punctual.paces p
     set next_at = clock_timestamp() + p.gap_max
   where p.id in (select n.id from punctual.paces n
                   where n.slot is not null and n.next_at > clock_timestamp() + n.gap_max + interval '3 s'
                   limit $1::bigint
                     for no key update skip locked)
  returning p.id
)
select (select count(*) from instances) as instances, (select count(*) from claims) as claims,
       (select count(*) from paces) as paces
-- name: ledger_without_attempt
-- Corrects messages that are `sending` while the ledger has no open attempt at them: no claim made them so, or what a
-- claim and its outcome have written is there in part only (a restore in parts, triggers that were off). If every try
-- that the row counts is in the ledger and certainly sent nothing, it is pending again; else nobody can tell whether
-- it was sent: unconfirmed. Returns how many became each.
-- $1 for how long the row has not changed (ms): a claim changes it, and may not be visible here yet
-- $2 rows at most  $3 the reason of those that are unconfirmed
with stranded as (
  select m.id, m.status,
         m.attempts > 0 and m.twilio_sid is null and m.sent_at is null
         -- At the part that is next.
         and m.attempts <= (select count(*) from punctual.attempts a where a.message_id = m.id and a.part = m.parts_done)
         and not exists (select from punctual.attempts a
                          where a.message_id = m.id and a.part = m.parts_done and (a.outcome in ('refused', 'throttled', 'unsent', 'returned', 'deferred', 'cancelled', 'rejected')) is not true)
           as is_unsent
    from public.scheduled_messages m
   where m.id in (select s.id from public.scheduled_messages s
                   where s.status = 'sending' and s.updated_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
                     and not exists (select from punctual.attempts a where a.message_id = s.id and (a.outcome || '') is null)
                   limit $2::bigint)
     and m.status || '' = 'sending' and m.updated_at < clock_timestamp() - $1::bigint * interval '1 millisecond'
   order by m.id
     for no key update skip locked
), moved as (
  update public.scheduled_messages m
     set status = case when s.is_unsent then 'pending' else 'unconfirmed' end,
         error_message = case when s.is_unsent then m.error_message else $3::text end,
         updated_at = clock_timestamp()
    from stranded s
   where m.id = s.id
  returning m.status
)
select count(*) filter (where status = 'pending') as pending, count(*) filter (where status = 'unconfirmed') as unconfirmed
  from moved
-- name: path_beyond
-- How many pending messages are due after the window, counted up to a bound.
-- $1 until  $2 count at most
select count(*) as beyond
  from (select from public.scheduled_messages m
         where m.status = 'pending'
           and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) > $1::timestamptz
         limit $2) far
-- name: path_cancel_suppressed
-- Cancels what is pending for these pairs of a sender and a recipient. Locked rows are skipped: their claim checks
-- the opt-out.
-- $1 our senders  $2 their numbers, one each  $3 reason  $4 the sender for rows that name none
with pair as (
  select distinct ours, theirs from unnest($1::text[], $2::text[]) as p (ours, theirs)
), free as materialized (
  select m.id
    from (select ours, theirs from pair order by theirs, ours) p
   cross join lateral (
     select m.id
       from public.scheduled_messages m
      cross join (select $4::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
      where m.status = 'pending' and btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') = p.theirs
        and coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end) = p.ours
        for no key update of m skip locked) m
)
update public.scheduled_messages m
   set status = 'cancelled', cancel_reason = $3, cancelled_at = clock_timestamp(),
       updated_at = clock_timestamp()
  from free
 where m.id = free.id
-- name: path_claim
-- Claims messages: pending -> sending, under the token the caller drew for each, with a lease.
--
--   ids ─▶ free ─▶ people ─▶ going ─▶ won ─▶ ledger
--            └────▶ unwanted
--
-- The database judges the time. A locked row is skipped, never waited for, and rows are locked in id order, so
-- a claim can take no part in a deadlock. A message that is paused or has a pace is not won. One to a recipient
-- who has opted out is cancelled instead. The facts about users, events and templates are returned for the policy
-- to judge by, and each message that counts takes quota of its user's day, or finds that there is none left
-- (reserve_quota). Of a message of several parts the next one is claimed, with the text that was kept of it.
-- claim_paced.sql has what follows the lines `Steps` and `Result` too, as `claim_steps!` and `claim_result!`.
-- Types are given here and below: a prepared statement does not survive a change of its result, and the app may
-- alter text to varchar under a running daemon.
-- $1 ids  $2 tokens, one each  $3 instance  $4 lease (ms)  $5 how long before due (us)
-- $6 the sender for rows that name none  $7 the installation's zone
-- $8 whether the app's own count of the day is honoured too
-- What the database has if its history is the one that this instance knows; otherwise the statement is refused:
-- $9 heartbeats of this instance  $10 attempts that were claimed  $11 attempts that have outcomes
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
), free as materialized (
  select m.id, ask.token, m.user_id, m.event,
         (select s.reason from punctual.suppressions s
           where s.their_number = m.their_number
             and (s.our_number is null or s.our_number = m.our_number)
           limit 1) as opted_out
    from (select a.id, a.token from unnest($1::uuid[], $2::uuid[]) as a (id, token)
           where (select punctual.check_history($3::uuid, $9::bigint, $10::uuid[], $11::uuid[]))
           order by a.id) ask
   cross join lateral (
     select m.id, m.user_id, m.calendar_event_id::text as event, btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') as their_number,
            coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end) as our_number
       from public.scheduled_messages m
      cross join (select $6::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
      where m.id = ask.id and m.status || '' = 'pending'
        and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= clock_timestamp() + $5::bigint * interval '1 microsecond'
        -- What is stopped until then is claimed as far ahead as what is due then.
        and coalesce(case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end <= clock_timestamp() + $5::bigint * interval '1 microsecond', true)
        -- A part waits for every request at the parts before it.
        and (m.parts_done = 0
             or not exists (select from punctual.attempts o where o.message_id = m.id and (o.outcome || '') is null))
        and not exists (
          select from quarantine q
           where greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < q.due_before
             and not coalesce(greatest(m.created_at, m.requeued_at) > q.due_before + interval '60 s', false)
             and not exists (select from punctual.quarantine_cleared c where c.message_id = m.id))
        -- It waits for a slot (claim_paced.sql).
        and not case when exists (select from punctual.paces) then m.parts_done = 0 and exists (
               select from punctual.paces pace
                where pace.scope = 'campaign' and pace.what = m.campaign_id::text) else false end
        for no key update of m skip locked) m
),
-- Steps:
unwanted as (
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = free.opted_out, cancelled_at = clock_timestamp(),
         updated_at = clock_timestamp()
    from free
   where m.id = free.id and free.opted_out is not null
), people as materialized (
  -- A message without a user needs nothing. The locks are taken by now: the sub-select reads all of them.
  select q.*
    from (select array_agg(id) as ids, array_agg(token) as tokens, array_agg(user_id) as users,
                 array_agg(event) as events
            from free where user_id is not null and opted_out is null
          having count(*) > 0) a
   cross join lateral punctual.reserve_quota(a.ids, a.tokens, a.users, a.events, $7::text, $8::bool) q
), going as materialized (
  -- Materialized, because a row that changed since this statement began is judged again below, by a copy of
  -- what is here; the quota must not be taken twice.
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
  returning m.id, g.token, m.attempts, m.max_attempts, m.channel, m.account, m.to_number, m.from_number, m.body,
            m.send_before, m.scheduled_at, m.timezone, m.message_type, m.priority, m.template_id,
            m.template_vars, m.calendar_event_id, m.event_start,
            g.user_id, g.facts, g.day, g.over_limit,
            m.campaign_id, m.parts_done, m.parts_total,
            case when m.parts_done > 0 then ((select kept.texts from punctual.attempts kept
               where kept.message_id = m.id and kept.texts is not null
               order by kept.outcome = 'accepted' desc nulls last, kept.number desc limit 1))[m.parts_done + 1] end as part_text,
            greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
            greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) as wanted_at,
            -- A row that was claimed and put back while this statement runs has an attempt that is not visible
            -- here: its number is taken, and the claim is refused and retried in halves.
            1 + coalesce((select max(a.number) from punctual.attempts a where a.message_id = m.id), 0)
              as number
), ledger as (
  insert into punctual.attempts (token, message_id, number, part, body, instance, lease_until, user_id, day)
  select token, id, number, parts_done, part_text, $3::uuid, clock_timestamp() + $4::bigint * interval '1 millisecond',
         case when day is not null then user_id end, day
    from won
)
-- Result:
select w.id, w.token, w.number, (w.attempts - 1)::int as attempts_before,
       coalesce(w.max_attempts, 3)::int as max_attempts,
       case when p.until > clock_timestamp() then greatest(w.due, p.until) else w.due end as due,
       greatest(w.wanted_at, p.until) as wanted_at,
       -- Nothing is read for a first claim.
       w.number > 1 and exists (
         select from punctual.attempts a
          where a.message_id = w.id and a.part = w.parts_done
            and a.started_at >= greatest(w.wanted_at, p.until)) as is_retry,
       w.send_before,
       w.channel::text, w.account::text, w.to_number::text, w.from_number::text, w.body::text, clock_timestamp() as now,
       w.parts_done::smallint as part, coalesce(w.parts_total, 1)::smallint as parts, w.part_text,
       w.scheduled_at, w.user_id, w.campaign_id::text, w.timezone::text, w.message_type::text, w.priority::text,
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
 cross join (select $6::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
 cross join lateral (select case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when w.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(w.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(w.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(w.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(w.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(w.campaign_id::text collate "C") collate "default"), ('user', w.user_id::text), ('message_type', btrim(w.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end as until offset 0) p
  left join punctual.facts_of_templates(
         (select array_agg(distinct template_id) from won where template_vars is not null)) t
    on t.id = w.template_id and w.template_vars is not null
-- name: path_claim_paced
-- Claims messages that keep a distance: of each pace the first that is due, if its slot begins within the lead.
--
--   paces ─▶ first ─▶ slots ─▶ free ─▶ (the steps of claim.sql) ─▶ taken
--
-- The message is locked before its pace, and both before quota; rows that are locked are passed over. What is not won
-- takes no slot. The next slot begins a gap after the latest moment at which this message may start, so the gap is kept
-- by whatever instance starts the next one.
-- $1 paces  $2 tokens, one each  $3 to $11 as in claim.sql
-- $12 how long after its slot a message may start (us)
-- $13 how many of the first are left out, because the app refuses their claim
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
), first as materialized (
  select ask.pace, ask.token, m.*
    from (select a.pace, a.token from unnest($1::uuid[], $2::uuid[]) as a (pace, token)
           where (select punctual.check_history($3::uuid, $9::bigint, $10::uuid[], $11::uuid[]))
           order by a.pace) ask
   cross join lateral (
     select p.what::uuid as campaign
       from punctual.paces p
      where p.id = ask.pace and p.next_at <= clock_timestamp() + $5::bigint * interval '1 microsecond'
        -- None of its messages is looked at while all of them are paused.
        and not exists (
          select from punctual.pauses o
           where (o.scope, o.what) in (('everything', ''), (p.scope, p.what))
             and o.until > clock_timestamp() + $5::bigint * interval '1 microsecond')
     offset 0) p
   cross join lateral (
     select m.id, m.user_id, m.calendar_event_id::text as event, btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') as their_number,
            coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end) as our_number, greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due
       from public.scheduled_messages m
      cross join (select $6::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
      where m.status = 'pending' and m.campaign_id = p.campaign and m.parts_done = 0
        and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= (select clock_timestamp() + $5::bigint * interval '1 microsecond')
        and coalesce(case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end <= clock_timestamp() + $5::bigint * interval '1 microsecond', true)
        and not exists (
          select from quarantine q
           where greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < q.due_before
             and not coalesce(greatest(m.created_at, m.requeued_at) > q.due_before + interval '60 s', false)
             and not exists (select from punctual.quarantine_cleared c where c.message_id = m.id))
        and not exists (select from punctual.missed_event_changes u where u.message_id = m.id)
      order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), m.id
     offset $13::bigint
      limit 1
        for no key update of m skip locked) m
), slots as materialized (
  select f.*,
         -- A claim that is a little late moves no slot: the rate is kept, and there is time left to start.
         case when clock_timestamp() < greatest(p.next_at, f.due) + $12::bigint / 2 * interval '1 microsecond'
              then greatest(p.next_at, f.due) else clock_timestamp() end as slot
    from first f
   cross join lateral (
     -- Another claim may have moved it on meanwhile: it is read as it is once it is locked.
     select p.next_at
       from punctual.paces p
      where p.id = f.pace and p.next_at <= clock_timestamp() + $5::bigint * interval '1 microsecond'
        for no key update skip locked) p
), free as materialized (
  select f.id, f.token, f.user_id, f.event,
         (select s.reason from punctual.suppressions s
           where s.their_number = f.their_number
             and (s.our_number is null or s.our_number = f.our_number)
           limit 1) as opted_out
    from slots f
),
unwanted as (
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = free.opted_out, cancelled_at = clock_timestamp(),
         updated_at = clock_timestamp()
    from free
   where m.id = free.id and free.opted_out is not null
), people as materialized (
  -- A message without a user needs nothing. The locks are taken by now: the sub-select reads all of them.
  select q.*
    from (select array_agg(id) as ids, array_agg(token) as tokens, array_agg(user_id) as users,
                 array_agg(event) as events
            from free where user_id is not null and opted_out is null
          having count(*) > 0) a
   cross join lateral punctual.reserve_quota(a.ids, a.tokens, a.users, a.events, $7::text, $8::bool) q
), going as materialized (
  -- Materialized, because a row that changed since this statement began is judged again below, by a copy of
  -- what is here; the quota must not be taken twice.
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
  returning m.id, g.token, m.attempts, m.max_attempts, m.channel, m.account, m.to_number, m.from_number, m.body,
            m.send_before, m.scheduled_at, m.timezone, m.message_type, m.priority, m.template_id,
            m.template_vars, m.calendar_event_id, m.event_start,
            g.user_id, g.facts, g.day, g.over_limit,
            m.campaign_id, m.parts_done, m.parts_total,
            case when m.parts_done > 0 then ((select kept.texts from punctual.attempts kept
               where kept.message_id = m.id and kept.texts is not null
               order by kept.outcome = 'accepted' desc nulls last, kept.number desc limit 1))[m.parts_done + 1] end as part_text,
            greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due,
            greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) as wanted_at,
            -- A row that was claimed and put back while this statement runs has an attempt that is not visible
            -- here: its number is taken, and the claim is refused and retried in halves.
            1 + coalesce((select max(a.number) from punctual.attempts a where a.message_id = m.id), 0)
              as number
), ledger as (
  insert into punctual.attempts (token, message_id, number, part, body, instance, lease_until, user_id, day)
  select token, id, number, parts_done, part_text, $3::uuid, clock_timestamp() + $4::bigint * interval '1 millisecond',
         case when day is not null then user_id end, day
    from won
)

, claimed as materialized (
select w.id, w.token, w.number, (w.attempts - 1)::int as attempts_before,
       coalesce(w.max_attempts, 3)::int as max_attempts,
       case when p.until > clock_timestamp() then greatest(w.due, p.until) else w.due end as due,
       greatest(w.wanted_at, p.until) as wanted_at,
       -- Nothing is read for a first claim.
       w.number > 1 and exists (
         select from punctual.attempts a
          where a.message_id = w.id and a.part = w.parts_done
            and a.started_at >= greatest(w.wanted_at, p.until)) as is_retry,
       w.send_before,
       w.channel::text, w.account::text, w.to_number::text, w.from_number::text, w.body::text, clock_timestamp() as now,
       w.parts_done::smallint as part, coalesce(w.parts_total, 1)::smallint as parts, w.part_text,
       w.scheduled_at, w.user_id, w.campaign_id::text, w.timezone::text, w.message_type::text, w.priority::text,
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
 cross join (select $6::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
 cross join lateral (select case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when w.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(w.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(w.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(w.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(w.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(w.campaign_id::text collate "C") collate "default"), ('user', w.user_id::text), ('message_type', btrim(w.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end as until offset 0) p
  left join punctual.facts_of_templates(
         (select array_agg(distinct template_id) from won where template_vars is not null)) t
    on t.id = w.template_id and w.template_vars is not null

), taken as (
  update punctual.paces p
     set position = p.position + 1, token = s.token, slot = s.slot,
         next_at = s.slot + $12::bigint * interval '1 microsecond'
                   + punctual.pace_gap(p.seed, p.position, p.gap_min, p.gap_max)
    from slots s
   where p.id = s.pace and exists (select from claimed c where c.token = s.token)
  returning p.id as pace, p.token as slot_token, p.slot, p.next_at
)
select c.*, t.pace, t.slot, t.next_at
  from claimed c
  join taken t on t.slot_token = c.token
-- name: path_counts_prune
-- What users were sent on days that are long over.
-- $1 before this
delete from punctual.daily_counts c where c.day < ($1::timestamptz at time zone 'UTC')::date
-- name: path_days_keep
-- When the days of each zone begin and end. What was written before and is missing now is over, or came from
-- other zone data.
-- $1 zones  $2 starts  $3 ends  $4 dates
with wanted as (
  select t.zone, t.starts, t.ends, t.day::date as day
    from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[]) as t (zone, starts, ends, day)
), over as (
  delete from punctual.days d
   where (d.zone, d.starts) not in (select t.zone, t.starts from wanted t)
)
insert into punctual.days as d (zone, starts, ends, day)
select t.zone, t.starts, t.ends, t.day from wanted t order by t.zone, t.starts
on conflict (zone, starts) do update set ends = excluded.ends, day = excluded.day
 where (d.ends, d.day) is distinct from (excluded.ends, excluded.day)
-- name: path_expire_cancel
-- pending -> cancelled, for rows that expire_candidates.sql has locked.
-- $1 messages  $2 their reasons
update public.scheduled_messages m
   set status = 'cancelled', cancelled_at = clock_timestamp(), updated_at = clock_timestamp(),
       cancel_reason = late.reason
  from unnest($1::uuid[], $2::text[]) as late (id, reason)
 where m.id = late.id and m.status || '' = 'pending'
-- name: path_expire_candidates
-- Locks the rows that may be too late (later than allowed, or past their send_before) and returns their
-- times: `policy::too_late` decides, and expire_cancel.sql writes, in the same transaction. So a first
-- start on an old table neither sends old messages nor claims them one by one. What is paused is not too late, and
-- its lateness counts from the end of the pause. What waits for its pace is late only by its send_before.
-- A row that another transaction has locked, or that has missed a change, counts for no limit: thousands of them
-- delay no other.
-- The moments are sub-selects, evaluated once: with them an index finds the rows, where
-- clock_timestamp() itself would be compared with every pending row.
-- $1 max lateness (us)  $2 rows at most, of each kind  $3 rows due before this are in quarantine
-- (null: none are)  $4 the sender for rows that name none
with late as (
  select m.id
    from public.scheduled_messages m
   cross join (select $4::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
   where m.status = 'pending'
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
     and case when m.parts_done = 0 and (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms', 'email', 'push', 'in_app') then greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) else 'infinity' end < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) >= coalesce($3::timestamptz, '-infinity')
     and coalesce(case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end < (select clock_timestamp() - $1::bigint * interval '1 microsecond'), true)
     and not case when exists (select from punctual.paces) then m.parts_done = 0 and exists (
               select from punctual.paces pace
                where pace.scope = 'campaign' and pace.what = m.campaign_id::text) else false end
     and not exists (select from punctual.missed_event_changes u where u.message_id = m.id and u.refused_at is null)
   order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
   limit $2
     for no key update of m skip locked
), past_their_end as (
  select m.id
    from public.scheduled_messages m
   cross join (select $4::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
   where m.status = 'pending' and m.send_before < (select clock_timestamp())
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) >= coalesce($3::timestamptz, '-infinity')
     and coalesce(case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end <= (select clock_timestamp()), true)
     and not exists (select from punctual.missed_event_changes u where u.message_id = m.id and u.refused_at is null)
   order by m.send_before
   limit $2
     for no key update of m skip locked
)
-- Checked again once the row is locked: an edit that was committed meanwhile counts.
select m.id, case when case when exists (select from punctual.paces) then m.parts_done = 0 and exists (
               select from punctual.paces pace
                where pace.scope = 'campaign' and pace.what = m.campaign_id::text) else false end then 'infinity' else greatest(case when m.parts_done = 0 and (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms', 'email', 'push', 'in_app') then greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) else 'infinity' end, p.until) end, m.send_before, clock_timestamp()
  from public.scheduled_messages m
 cross join (select $4::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
 cross join lateral (select case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end as until) p
 where m.id in (select id from late union select id from past_their_end) and m.status || '' = 'pending'
   and (m.send_before < clock_timestamp()
        or greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < clock_timestamp() - $1::bigint * interval '1 microsecond')
   and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) >= coalesce($3::timestamptz, '-infinity')
   -- Its event may have moved to a later time, which follow_missed applies first.
   and not exists (select from punctual.missed_event_changes u where u.message_id = m.id and u.refused_at is null)
   and coalesce(p.until <= clock_timestamp(), true)
 order by m.id
   for no key update of m skip locked
-- name: path_forecast_instances
-- What the instances that run have published, and the one that ran last. Those whose program is too old for the schema
-- claim nothing.
-- $1 heartbeat time-out (ms)  $2 rows at most
with up as (
  select i.id, i.heartbeat_at, i.state,
         i.heartbeat_at > clock_timestamp() - $1::bigint * interval '1 millisecond'
         and coalesce(i.program, 1) >= (select max(m.oldest_program) from punctual.migrations m) as is_running
    from punctual.instances i
   where i.stopped_at is null
), stopped as (
  select i.id, i.heartbeat_at, i.state, false as is_running
    from punctual.instances i
   where i.stopped_at is not null
   order by i.stopped_at desc
   limit 1
)
select clock_timestamp() as now, i.*
  from (select * from up union all select * from stopped) i
 order by i.is_running desc, i.heartbeat_at desc
 limit $2
-- name: path_forecast_rows
-- What a claim of these messages would return now (claim.sql), and what stands before it, for a forecast. Nothing is
-- locked, and no quota is taken. Rows that are not pending are left out.
-- $1 ids  $2 the sender for rows that name none  $3 the installation's zone
-- $4 whether the app's own count of the day is honoured too  $5 how many messages of a pace are counted at most
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
), rows as materialized (
  select m.id, m.attempts, m.max_attempts, m.channel, m.account, m.to_number, m.from_number, m.body, m.send_before,
         m.scheduled_at, m.timezone, m.message_type, m.priority, m.template_id, m.template_vars, m.calendar_event_id,
         m.event_start, m.user_id, m.campaign_id, m.parts_done, m.parts_total,
         greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due, greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) as wanted_at, paused.until as paused_until,
         btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') as their_number, coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end) as our_number,
         exists (
          select from quarantine q
           where greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < q.due_before
             and not coalesce(greatest(m.created_at, m.requeued_at) > q.due_before + interval '60 s', false)
             and not exists (select from punctual.quarantine_cleared c where c.message_id = m.id)) as is_quarantined, case when exists (select from punctual.paces) then m.parts_done = 0 and exists (
               select from punctual.paces pace
                where pace.scope = 'campaign' and pace.what = m.campaign_id::text) else false end as has_pace,
         (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms') and m.parts_done = 0 as is_counted,
         case when paused.until > clock_timestamp() then (
           select string_agg(format('%s, by %s', replace(p.scope, '_', ' '), p.who) || coalesce(': ' || p.why, ''), '; '
                             order by p.scope)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
             join punctual.pauses p on p.scope = key.scope and p.what = key.what and p.until > clock_timestamp()) end
           as paused_by
    from unnest($1::uuid[]) as ask (id)
    join public.scheduled_messages m on m.id = ask.id and m.status || '' = 'pending'
   cross join (select $2::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
   cross join lateral (select case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end as until offset 0) paused
), people as materialized (
  select f.*
    from (select array_agg(r.id) as ids, array_agg(r.user_id) as users, array_agg(r.calendar_event_id::text) as events
            from rows r where r.user_id is not null
          having count(*) > 0) a
   cross join lateral punctual.facts_of(a.ids, a.ids, a.users, a.events) f
), counted as (
  -- As reserve_quota counts: by the day in the row's zone, else the user's, else the installation's.
  select r.id, (p.facts).daily_limit as daily_limit,
         least((p.facts).daily_limit,
               case when $4::bool then (p.facts).daily_limit
                 - case when (p.facts).app_reset_at < d.starts then 0 else coalesce((p.facts).app_count, 0) end end)
         - coalesce(c.count, 0) as left_today
    from rows r
    join people p on p.id = r.id
   cross join lateral (select greatest(r.due, r.paused_until, clock_timestamp()) as at) t
    left join lateral (
      select y.starts, y.day
        from (values (0, btrim(r.timezone::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000')), (1, btrim((p.facts).timezone, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000')), (2, $3::text))
               as z (rank, zone)
        join punctual.days y on y.zone = lower(z.zone collate "C") collate "default" and y.starts <= t.at and t.at < y.ends
       where t.at < 'infinity'
       order by z.rank
       limit 1) y on true
   cross join lateral (
     select coalesce(y.starts, date_trunc('day', t.at, 'UTC')) as starts,
            coalesce(y.day, (t.at at time zone 'UTC')::date) as day) d
    left join punctual.daily_counts c on c.user_id = r.user_id and c.day = d.day
   where r.is_counted and (p.facts).daily_limit is not null
), places as (
  -- The order in which claim_paced.sql takes them, for all messages of a campaign at once.
  select nth.id, nth.ahead
    from (select distinct r.campaign_id from rows r where r.has_pace) c
   cross join lateral (
     select o.id, row_number() over (order by o.due, o.id) - 1 as ahead
       from (select m.id, greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due
               from public.scheduled_messages m
              where m.status = 'pending' and m.campaign_id = c.campaign_id and m.parts_done = 0
              order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), m.id
              limit $5) o) nth
    join rows r on r.id = nth.id
)
select r.id, '00000000-0000-0000-0000-000000000000'::uuid as token, 1 as number, r.attempts::int as attempts_before,
       coalesce(r.max_attempts, 3)::int as max_attempts, r.due, r.wanted_at, r.send_before, r.channel::text, r.account::text,
       r.to_number::text, r.from_number::text, r.body::text,
       r.parts_done::smallint as part, coalesce(r.parts_total, 1)::smallint as parts,
       case when r.parts_done > 0
            then ((select kept.texts from punctual.attempts kept
               where kept.message_id = r.id and kept.texts is not null
               order by kept.outcome = 'accepted' desc nulls last, kept.number desc limit 1))[r.parts_done + 1] end as part_text,
       r.scheduled_at, r.user_id, r.campaign_id::text, r.timezone::text, r.message_type::text, r.priority::text,
       r.template_vars::text as template_vars, false as is_retry,
       t.name::text as template_name, t.message_template::text as template_text,
       t.required_vars::text as template_required, t.max_length::int as template_max_length,
       t.is_active as template_is_active,
       coalesce((p.facts).has_preferences, false) as has_preferences, (p.facts).phone_verified, (p.facts).opted_out,
       (p.facts).off, (p.facts).quiet_start, (p.facts).quiet_end, (p.facts).timezone as user_timezone,
       (p.facts).event_is_cancelled as event_gone,
       case when r.calendar_event_id is not null then coalesce((p.facts).event_start, r.event_start) end as event_start,
       null::text as place_day, case when c.left_today < 1 then c.daily_limit end as over_limit,
       c.id is not null as is_limited, r.paused_until, r.paused_by, r.is_quarantined,
       (select s.reason from punctual.suppressions s
         where s.their_number = r.their_number and (s.our_number is null or s.our_number = r.our_number)
         limit 1) as suppressed,
       case when r.parts_done > 0
            then (select max(a.lease_until) from punctual.attempts a
                   where a.message_id = r.id and (a.outcome || '') is null) end as open_until,
       pace.scope as pace_scope, pace.what as pace_what, pace.next_at as pace_next_at, pace.seed as pace_seed,
       pace.position as pace_position, (extract(epoch from pace.gap_min) * 1000000)::bigint as pace_gap_min,
       (extract(epoch from pace.gap_max) * 1000000)::bigint as pace_gap_max, places.ahead as pace_ahead
  from rows r
  left join people p on p.id = r.id
  left join counted c on c.id = r.id
  left join places on places.id = r.id
  left join punctual.paces pace on r.has_pace and pace.scope = 'campaign' and pace.what = r.campaign_id::text
  left join punctual.facts_of_templates(
         (select array_agg(distinct template_id) from rows where template_vars is not null)) t
    on t.id = r.template_id and r.template_vars is not null
-- name: path_keep_texts
-- Keeps the texts of all parts of messages whose first part is about to be sent: whatever happens to this instance, or
-- comes to the template and the settings, what is left is parts of the same text, and whoever learns of an acceptance
-- knows whether it was the last. A locked row is skipped and missing in the result; its claim is released.
-- $1 ids  $2 tokens, of the first parts: one for each text  $3 the texts, in their order
with ask as materialized (
  select t.id, t.token, array_agg(t.text order by t.n) as texts
    from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality as t (id, token, text, n)
   group by t.id, t.token
   order by t.id
), free as materialized (
  select ask.*
    from ask
   cross join lateral (
     select from public.scheduled_messages m
      where m.id = ask.id and m.status || '' = 'sending' and m.parts_done = 0
        for no key update skip locked) m
), ledger as (
  update punctual.attempts a
     set texts = free.texts, body = free.texts[1]
    from free
   where a.token = free.token and a.message_id = free.id and (a.outcome || '') is null
  returning a.message_id, a.token, cardinality(free.texts) as parts
)
update public.scheduled_messages m
   set parts_total = ledger.parts
  from ledger
 where m.id = ledger.message_id
returning ledger.token
-- name: path_load_window
-- What is pending and due up to a moment, soonest first. What is so late that it is to be cancelled is left to
-- expire_candidates.sql. What is paused is due when the pause ends, and its lateness counts from there. What
-- has a pace is not among them (paces_load.sql).
-- $1 until  $2 max lateness (us)  $3 the sender for rows that name none
select m.id, m.version::bigint, m.attempts::int, m.priority::text, m.channel::text, m.account::text,
       case when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'webhook' then m.to_number::text when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'sms' then m.from_number::text end as lane_address,
       case when p.until > clock_timestamp() then greatest(greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), p.until) else greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) end as due,
       greatest(m.created_at, m.requeued_at) as written
  from public.scheduled_messages m
 cross join (select $3::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
 cross join lateral (select case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end as until offset 0) p
 where m.status = 'pending'
   and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= $1::timestamptz
   and coalesce(p.until <= $1::timestamptz, true)
   and not case when exists (select from punctual.paces) then m.parts_done = 0 and exists (
               select from punctual.paces pace
                where pace.scope = 'campaign' and pace.what = m.campaign_id::text) else false end
   and greatest(case when m.parts_done = 0 and (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms', 'email', 'push', 'in_app') then greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) else 'infinity' end, p.until) >= clock_timestamp() - $2::bigint * interval '1 microsecond'
 order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
-- name: path_notify
-- Notifies all instances.
-- $1 payload
select pg_notify('punctual', $1::text)
-- name: path_notify_others
-- Notifies the other instances, because the daemon's own writes do not. Not if the queue is nearly full: the
-- commit would fail, and the sweeps find the rows anyway.
-- $1 payload
select pg_notify('punctual', $1::text) where pg_notification_queue_usage() < 0.9
-- name: path_now
-- A reading of the database's clock.
select clock_timestamp() as now
-- name: path_number_faults_count
-- How many pending messages there are whose number has a fault, among those that were found to have one and are due first.
-- $1 how many of these are read
select count(*) as n
  from (select f.message_id, f.version from punctual.number_faults f
         where f.due > clock_timestamp()
         order by f.due
         limit $1::bigint) f
 cross join lateral (select from public.scheduled_messages m
                      where m.id = f.message_id and m.status || '' = 'pending' and m.version = f.version
                     offset 0) m
-- name: path_number_faults_keep
-- Records what is wrong with the numbers of pending messages, and how far they have been checked; and forgets messages
-- whose time has passed. How far was checked while the clock of the database was ahead does not count.
-- $1 ids  $2 faults  $3 due  $4 versions, as they were read  $5 how far ahead (s)  $6 all until then  $7 rows at most
with kept as (
  insert into punctual.number_faults as f (message_id, fault, due, version)
  select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[])
  on conflict (message_id) do update
     set fault = excluded.fault, due = excluded.due, version = excluded.version, at = clock_timestamp()
), over as (
  delete from punctual.number_faults f
   using (select o.message_id from punctual.number_faults o
           where o.due < clock_timestamp() - interval '1 hour' and o.message_id <> all ($1::uuid[])
           order by o.due
           limit $7::bigint
             for update skip locked) o
   where f.message_id = o.message_id
)
insert into punctual.number_checks as c (ahead_s, until) values ($5::bigint, $6::timestamptz)
on conflict (ahead_s) do update
   set until = greatest(least(c.until, clock_timestamp() + $5::bigint * interval '1 second'), excluded.until)
-- name: path_numbers_ahead
-- The recipients of the pending messages that will be due within this time, those after the last one that was checked.
-- What is due at the same instant as the last row is read with it, up to a bound; beyond that it is left out.
-- $1 how far ahead (s)  $2 rows  $3 rows with those of one instant
select w.until, m.id, m.due, m.version, m.to_number
  from (select clock_timestamp() + $1::bigint * interval '1 second' as until) w
  left join lateral (
    select o.*
      from (select m.id, greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due, m.version::bigint as version,
                   -- Others have addresses of another form.
                   case when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'sms' then m.to_number::text end as to_number
              from public.scheduled_messages m
             where m.status = 'pending'
               and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) > (select greatest(clock_timestamp(), max(c.until)) from punctual.number_checks c
                               where c.ahead_s = $1::bigint)
               and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= w.until
             order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at)
             fetch first ($2::bigint) rows with ties) o
     limit $3::bigint) m on true
-- name: path_overdue
-- What is due and not claimed (stuck, paused, or waiting for its pace), and what waits for a retry; by channel.
-- Read in a transaction that is rolled back, so that it waits for no commit and leaves no lock.
--
-- Each kind has a limit of its own, so that none hides another. What is paused or paced is passed over on the way to
-- what is stuck, and is read only while there are pauses or paces.
-- $1 due for longer than (us)  $2 what is due before this is in quarantine (null: nothing is)
-- $3 rows of each kind at most  $4 of each channel, how many are tried for a lock  $5 the sender for rows that name none
-- $6 whether they are counted by lane, and not only by channel and account
with overdue as not materialized (
  select m.id, (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) as channel, m.account::text as account,
         case when $6::bool then case when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'webhook' then m.to_number::text when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'sms' then m.from_number::text end end as lane_address, greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as since,
         coalesce(case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end > clock_timestamp(), false) as is_paused,
         -- It waits for its pace, whose next slot is not overdue itself.
         case when exists (select from punctual.paces) then m.parts_done = 0 and exists (
               select from punctual.paces pace
                where pace.scope = 'campaign' and pace.what = m.campaign_id::text) else false end and exists (
           select from punctual.paces p
            where p.scope = 'campaign' and p.what = m.campaign_id::text
              and p.next_at > clock_timestamp() - $1::bigint * interval '1 microsecond') as is_paced
    from public.scheduled_messages m
   cross join (select $5::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
   where m.status = 'pending'
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
     and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) >= coalesce($2::timestamptz, '-infinity')
), waiting as materialized (
  (select 'stuck' as kind, id, channel, account, lane_address, since
     from overdue
    where not exists (select from punctual.pauses p
                       where p.scope = 'everything' and p.what = '' and p.until > clock_timestamp())
      and not is_paused and not is_paced
    order by since limit $3)
  union all
  (select 'paused', id, channel, account, lane_address, since
     from overdue
    where exists (select from punctual.pauses) and is_paused
    order by since limit $3)
  union all
  (select 'paced', id, channel, account, lane_address, since
     from overdue
    where exists (select from punctual.paces) and is_paced and not is_paused
    order by since limit $3)
  union all
  -- The provider could not be reached, throttled it, or refused it for now: each try moves the due time.
  (select 'retry', m.id, (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end), m.account::text, case when $6::bool then case when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'webhook' then m.to_number::text when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'sms' then m.from_number::text end end, greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end)
     from public.scheduled_messages m
    cross join (select $5::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
    where m.status = 'pending'
      and m.next_attempt_at >= (select clock_timestamp() - $1::bigint * interval '1 microsecond')
      and greatest(m.scheduled_at, m.deferred_until, m.requeued_at,
                      case when m.parts_done > 0 then m.next_attempt_at end) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
      and coalesce(case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end <= clock_timestamp(), true)
    order by m.next_attempt_at limit $3)
), tried as materialized (
  select id
    from (select id, row_number() over (partition by channel order by since) as n
            from waiting where kind = 'stuck') stuck
   where n <= $4
), free as materialized (
  select m.id
    from public.scheduled_messages m
   where m.id in (select id from tried)
     for no key update skip locked
)
select w.kind, w.channel, w.account, w.lane_address, count(*) as messages,
       (extract(epoch from clock_timestamp() - greatest(min(w.since), clock_timestamp() - interval '30 days'))
        * 1000000)::bigint as oldest_us,
       count(*) filter (where w.id in (select id from tried)) > 0
       and count(*) filter (where w.id in (select id from free)) = 0 as is_locked
  from waiting w
 group by w.kind, w.channel, w.account, w.lane_address
-- name: path_pace_end
-- Removes the pace of a campaign: what waited for it is sent at once, or cancelled if it is too late by now.
-- $1 campaign
delete from punctual.paces p where p.scope = 'campaign' and p.what = $1::text
-- name: path_pace_keep
-- Sets the pace of a campaign, or changes its gaps: the slots that were taken stay as they are.
-- $1 campaign  $2 shortest gap (us)  $3 longest gap (us)
insert into punctual.paces as p (scope, what, gap_min, gap_max)
values ('campaign', $1::text, $2::bigint * interval '1 microsecond', $3::bigint * interval '1 microsecond')
on conflict (scope, what) do update
   set gap_min = excluded.gap_min, gap_max = excluded.gap_max, who = excluded.who, at = excluded.at
-- name: path_pace_list
-- The paces, as people see them.
select p.scope, p.what, extract(epoch from p.gap_min)::float8 as gap_min_s, extract(epoch from p.gap_max)::float8 as gap_max_s,
       p.next_at, p.position, p.who, p.at
  from punctual.paces p
 order by p.next_at, p.scope, p.what
-- name: path_pace_waiting
-- How many due messages of a campaign wait for its pace, counted up to a bound.
-- $1 campaign  $2 count at most
select count(*)
  from (select
          from public.scheduled_messages m
         where m.status = 'pending' and m.campaign_id = $1::uuid and m.parts_done = 0
           and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= (select clock_timestamp())
         limit $2) waiting
-- name: path_paces_load
-- The paces that have a message due up to a moment: when the next of each may start, and by which lane. What is paused is
-- due when the pause ends. What no claim would take (in quarantine, or waiting for a change of its event) is left out, so
-- that nobody asks for it again and again.
-- $1 until  $2 only these (null: all)  $3 the sender for rows that name none
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
)
select p.id, p.scope, p.what, p.next_at, m.due, m.channel, m.account, m.lane_address
  from punctual.paces p
 cross join lateral (
   select m.channel::text, m.account::text, case when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'webhook' then m.to_number::text when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'sms' then m.from_number::text end as lane_address,
          case when e.until > clock_timestamp() then greatest(greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), e.until) else greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) end as due
     from public.scheduled_messages m
    cross join (select $3::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
    cross join lateral (select case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end as until offset 0) e
    where m.status = 'pending' and m.campaign_id = p.what::uuid and m.parts_done = 0
      and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) <= $1::timestamptz
      and coalesce(e.until <= $1::timestamptz, true)
      and not exists (
          select from quarantine q
           where greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < q.due_before
             and not coalesce(greatest(m.created_at, m.requeued_at) > q.due_before + interval '60 s', false)
             and not exists (select from punctual.quarantine_cleared c where c.message_id = m.id))
      and not exists (select from punctual.missed_event_changes u where u.message_id = m.id)
    order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), m.id
    limit 1) m
 where (p.id = any ($2::uuid[]) or $2::uuid[] is null)
   -- None of its messages is looked at while all of them are paused.
   and not exists (
     select from punctual.pauses o
      where (o.scope, o.what) in (('everything', ''), (p.scope, p.what)) and o.until > $1::timestamptz)
-- name: path_paces_prune
-- Removes the paces of campaigns that are over: set, and claimed from for the last time, before a moment, and no message is
-- left to be sent. No claim waits for one that another session changes.
-- $1 unused since
delete from punctual.paces p
 using (select o.id from punctual.paces o
         where o.scope = 'campaign' and o.next_at < $1::timestamptz and o.at < $1::timestamptz
           -- The first of each, in the order of its index: as `not exists` it is planned as a join with all messages.
           and (select m.id from public.scheduled_messages m
                 where m.status = 'pending' and m.campaign_id = o.what::uuid
                 order by greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), m.id
                 limit 1) is null
         order by o.id for update skip locked) old
 where p.id = old.id
-- name: path_pause_end
-- Ends a pause. Its row stays for a while: the lateness of what it stopped counts from here.
-- $1 scope  $2 which one
update punctual.pauses p
   set until = clock_timestamp()
 where p.scope = $1::text and p.what = $2::text and p.until > clock_timestamp()
-- name: path_pause_expired
-- How many messages that a pause stops have passed their send_before, or the start of their event, counted up to a
-- bound. What another pause stops as well is not cancelled when this one ends, and is not counted.
-- $1 scope  $2 which one  $3 the sender for rows that name none  $4 count at most
select count(*)
  from (select
          from public.scheduled_messages m
         cross join (select $3::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
         where m.status = 'pending'
           and greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) < (select clock_timestamp())
           and (m.send_before < clock_timestamp() or m.event_start < clock_timestamp())
           and (exists (select from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
                         where key.scope = $1::text and key.what = $2::text))
           and not exists (select from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
                             join punctual.pauses p on p.scope = key.scope and p.what = key.what
                            where (p.scope, p.what) <> ($1::text, $2::text) and p.until > clock_timestamp())
         limit $4) expired
-- name: path_pause_keep
-- Pauses something, or changes how long and why it is paused.
-- $1 scope  $2 which one  $3 until  $4 why  $5 who; null: this session's role
insert into punctual.pauses as p (scope, what, until, why, who)
values ($1::text, $2::text, $3::timestamptz, $4::text, coalesce($5::text, session_user))
on conflict (scope, what) do update
   set until = excluded.until, why = excluded.why, who = excluded.who, at = excluded.at
returning scope, what, until, why, who, at
-- name: path_pause_list
-- The pauses that are in force, as people see them.
select p.scope, p.what, p.until, p.why, p.who, p.at
  from punctual.pauses p
 where p.until > (select clock_timestamp())
 order by p.at, p.scope, p.what
-- name: path_pauses_in_force
-- The pauses that are in force.
select p.scope, p.what, p.until from punctual.pauses p where p.until > (select clock_timestamp())
-- name: path_pauses_prune
-- Removes pauses that are long over. No claim waits for one that another session changes.
-- $1 ended before this
delete from punctual.pauses p
 using (select o.scope, o.what from punctual.pauses o where o.until < $1::timestamptz
         order by o.scope, o.what for update skip locked) old
 where p.scope = old.scope and p.what = old.what and p.until < $1::timestamptz
-- name: path_prepares
-- Whether transactions can be prepared on this server. Their commits cannot notify.
select current_setting('max_prepared_transactions')::int > 0 as prepares
-- name: path_read_rows
-- The states of rows for an instance that wants to send them. One row for each requested id. What is paused is due
-- when the pause ends; what has a pace is returned with it.
-- $1 ids  $2 the sender for rows that name none
select ask.id, m.status::text, m.version::bigint, m.attempts::int, m.priority::text, m.channel::text, m.account::text,
       case when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'webhook' then m.to_number::text when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'sms' then m.from_number::text end as lane_address,
       case when p.until > clock_timestamp() then greatest(greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at), p.until) else greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) end as due,
       coalesce(p.until > clock_timestamp(), false) as is_paused,
       greatest(m.created_at, m.requeued_at) as written,
       pace.id as pace, pace.scope as pace_scope, pace.what as pace_what, pace.next_at as pace_next_at,
       case when m.status = 'sending' then
         (select max(a.lease_until) from punctual.attempts a
           where a.message_id = m.id and (a.outcome || '') is null)
       end as lease_until
  from unnest($1::uuid[]) as ask (id)
  left join public.scheduled_messages m on m.id = ask.id
 cross join (select $2::text as sender, (select s.account_senders from punctual.settings s where s.one) as senders) ours
 cross join lateral (select case when exists (select from punctual.pauses) then (
           select max(pause.until)
             from (values ('everything', ''), ('lane', (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end)), ('sender', coalesce(nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), ''), case when coalesce(btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') in ('', 'default') then ours.sender else ours.senders ->> btrim(m.account, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') end)), ('campaign', lower(m.campaign_id::text collate "C") collate "default"), ('user', m.user_id::text), ('message_type', btrim(m.message_type::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'))) as key (scope, what)
            cross join lateral (
              select p.until from punctual.pauses p where p.scope = key.scope and p.what = key.what
              offset 0) pause) end as until offset 0) p
  left join lateral (
    select own.* from punctual.paces own
     where own.scope = 'campaign' and own.what = m.campaign_id::text and m.status = 'pending'
       and m.parts_done = 0) pace on true
-- name: path_record_accepted
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
-- first. Of a message of several parts, the part that is next is accepted: the row is pending until the one after it,
-- and sent with the last; one that has ended meanwhile stays so.
-- $1 ids  $2 tokens  $3 sids  $4 request started  $5 response received  $6 when the message is looked up if
-- nothing more is reported (ms; null: never)  $7 the text as it was sent  $8 from whom, $9 to whom
-- $10 the version of the row that it proves something about (null: any)  $11 how many parts come before it
-- $12 of how many  $13 from its acceptance to the next part (us)
with free as materialized (
  select ask.*, m.row_body, m.template_id, at.part >= m.parts_done as is_next, at.part + 1 as accepted,
         at.is_last, case when at.is_last then 'sent' when m.status in ('failed', 'cancelled') then m.status
                          else 'pending' end as status,
         a.body as kept,
         -- With what the ledger has of each when this statement begins.
         a.message_id as of, a.outcome as stood, a.started_at as begun,
         row_number() over (partition by ask.sid order by ask.token) > 1
         or exists (select from punctual.attempts o
                     where o.provider_sid = ask.sid and o.token <> ask.token) as twice
    from (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                               $7::text[], $8::text[], $9::text[], $10::bigint[], $11::smallint[], $12::smallint[],
                               $13::bigint[])
                     as a (id, token, sid, started_at, finished_at, body, sent_from, sent_to, version,
                           part, parts, gap_us)
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
         next_lookup_at = case when not free.twice
                            then coalesce(free.finished_at, clock_timestamp())
                                 + $6::bigint * interval '1 millisecond' end,
         lookup_to = null, lookup_from = null, lookup_text = null,
         body = coalesce(nullif(free.body, free.row_body), a.body),
         error = case when free.twice then 'the provider gave this sid to another attempt as well' end
    from free
   where a.token = free.token and a.message_id = free.id and a.outcome is distinct from 'accepted'
  returning a.token, exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted' and not coalesce(o.message_status in ('undelivered', 'failed', 'cancelled'), false)) as doubled
), overtaken as (
  update punctual.attempts a
     set started_at = free.started_at, finished_at = free.finished_at,
         body = coalesce(nullif(free.body, free.row_body), a.body)
    from free
   where free.stood = 'accepted' and free.begun is null
     and a.token = free.token and a.message_id = free.id and a.outcome = 'accepted'
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
                                then coalesce(proven.finished_at, clock_timestamp())
                                     + proven.gap_us * interval '1 microsecond' end,
         error_message = case when proven.status = 'failed' then m.error_message end,
         error_code = case when proven.status = 'failed' then m.error_code end,
         cancelled_at = case when proven.status = 'cancelled' then m.cancelled_at end,
         cancel_reason = case when proven.status = 'cancelled' then m.cancel_reason end,
         updated_at = clock_timestamp()
    -- With the token of an attempt at another message it is proof too.
    from (select * from free where free.token in (select token from ledger) or free.of <> free.id) proven
   where m.id = proven.id and m.status in ('pending', 'sending', 'failed', 'cancelled', 'unconfirmed') and proven.is_next
  returning m.id, proven.token, m.conversation_id, coalesce(proven.body, proven.kept, m.body) as body, proven.sent_from,
            -- The number as it was sent to, not as it was entered: conversations are found by it.
            coalesce(proven.sent_to, m.to_number) as sent_to, proven.sid,
            coalesce(proven.finished_at, 'epoch') as finished_at, (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms') as has_app_rows
), uses as (
  -- The app's own count is updated later from this: its row would make the records of one template wait for
  -- each other.
  insert into punctual.template_uses (template_id, uses, last_used_at)
  select f.template_id, count(*), max(f.finished_at)
    from free f
   where f.template_id is not null and f.accepted = 1
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
-- name: path_record_lost
-- Merges positive outcomes whose row or attempt is not there: the app has deleted the row, or a standby took
-- over, or a backup was restored. An attempt that the ledger does not have is entered again, so that it is found by
-- what comes later.
--
--   ask ─▶ free ─▶ named ─┬─▶ recovered ─▶ moved ─▶ shown ─▶ wrote
--            gone ───┘    └─▶ ledger
--
-- It does not touch what is there: record_accepted.sql does. Another transaction that has entered something
-- since this statement began conflicts, and so does a lock on a row: then it is missing in the result, and
-- tried again.
-- $1 ids  $2 tokens  $3 sids  $4 request started  $5 response received  $6 when the message is looked up if
-- nothing more is reported (ms; null: never)  $7 the text as it was sent  $8 from whom, $9 to whom
-- $10 the version of the row that it proves something about (null: any)  $11 how many parts come before it
-- $12 of how many  $13 from its acceptance to the next part (us)  $14 the instance
with ask as materialized (
  select ask.*, a.is_there is not null as has_attempt, m.is_there is not null as has_row
    from (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::timestamptz[],
                               $7::text[], $8::text[], $9::text[], $10::bigint[], $11::smallint[], $12::smallint[],
                               $13::bigint[])
                as a (id, token, sid, started_at, finished_at, body, sent_from, sent_to, version, part, parts, gap_us)
           order by a.id) ask
    left join lateral (select true as is_there from punctual.attempts a where a.token = ask.token) a on true
    left join lateral (select true as is_there from public.scheduled_messages m where m.id = ask.id) m on true
), named as materialized (
  select done.*, row_number() over (partition by done.sid order by done.token) > 1
         or exists (select from punctual.attempts o
                     where o.provider_sid = done.sid and o.token <> done.token) as twice,
         -- The same message, known by another token since.
         exists (select from punctual.attempts a
                  where a.message_id = done.id and a.provider_sid = done.sid and a.token <> done.token) as known
    from (select ask.*, m.*,
                 case when ask.part + 1 >= m.total then 'sent'
                      when m.status in ('failed', 'cancelled') then m.status else 'pending' end as next,
                 -- What it sent, if the ledger has that of another attempt.
                 case when m.total > 1 then ((select kept.texts from punctual.attempts kept
               where kept.message_id = ask.id and kept.texts is not null
               order by kept.outcome = 'accepted' desc nulls last, kept.number desc limit 1))[ask.part + 1] end as kept
            from ask cross join lateral (
             select m.body as row_body, m.conversation_id, m.to_number, (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) in ('sms') as has_app_rows, m.status,
                    coalesce(m.parts_total, ask.parts) as total
               from public.scheduled_messages m
              where m.id = ask.id and (ask.version is null or m.version = ask.version)
                for no key update skip locked) m
           where ask.has_row and not ask.has_attempt
          union all
          select ask.*, null, null, null, null, null, null, null, null from ask where not ask.has_row) done
), ledger as (
  update punctual.attempts a
     set outcome = 'accepted', provider_sid = case when not named.twice then named.sid end,
         started_at = named.started_at, finished_at = named.finished_at, code = null, category = null, lookups = 0,
         next_lookup_at = case when not named.twice then clock_timestamp() + $6::bigint * interval '1 millisecond' end,
         lookup_to = null, lookup_from = null, lookup_text = null, body = coalesce(named.body, a.body),
         error = case when named.twice then 'the provider gave this sid to another attempt as well' end
    from named
   where a.token = named.token and a.message_id = named.id and a.outcome is distinct from 'accepted'
  returning a.token, exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted' and not coalesce(o.message_status in ('undelivered', 'failed', 'cancelled'), false)) as doubled
), overtaken as (
  update punctual.attempts a
     set started_at = named.started_at, finished_at = named.finished_at, body = coalesce(named.body, a.body)
    from named
   where a.token = named.token and a.message_id = named.id and a.outcome = 'accepted' and a.started_at is null
), recovered as (
  insert into punctual.attempts as a
         (token, message_id, number, part, instance, claimed_at, lease_until, started_at, finished_at,
          outcome, provider_sid, next_lookup_at, body, error, recovered)
  select named.token, named.id,
         coalesce((select max(o.number) from punctual.attempts o where o.message_id = named.id), 0)
           + row_number() over (partition by named.id order by named.started_at, named.token), named.part,
         $14::uuid, coalesce(named.started_at, named.finished_at, clock_timestamp()),
         coalesce(named.finished_at, clock_timestamp()), named.started_at, named.finished_at,
         'accepted', case when not named.twice then named.sid end,
         -- Where the row is gone, a response moves nothing.
         case when not named.twice and named.has_row then clock_timestamp() + $6::bigint * interval '1 millisecond' end,
         coalesce(nullif(named.body, named.row_body), named.kept),
         case when named.twice then 'the provider gave this sid to another attempt as well'
              else 'the database had lost this attempt; its proof was kept elsewhere' end, true
    from named where not named.has_attempt and not named.known
  on conflict do nothing
  returning a.token, exists (select from punctual.attempts o
                     where o.message_id = a.message_id and o.part = a.part and o.token <> a.token
                       and o.outcome = 'accepted' and not coalesce(o.message_status in ('undelivered', 'failed', 'cancelled'), false)) as doubled
), moved as (
  update public.scheduled_messages m
     set status = proven.next, parts_done = case when proven.total > 1 then proven.part + 1 else 0 end,
         parts_total = case when proven.total > 1 then proven.total else m.parts_total end,
         attempts = case when proven.next = 'sent' then m.attempts else 0 end,
         sent_at = case when proven.next = 'sent' then proven.finished_at end,
         twilio_sid = case when proven.next = 'sent' then proven.sid end,
         next_attempt_at = case when proven.next = 'pending'
                                then coalesce(proven.finished_at, clock_timestamp())
                                     + proven.gap_us * interval '1 microsecond' end,
         (error_message, error_code) = (select m.error_message, m.error_code where proven.next = 'failed'),
         (cancelled_at, cancel_reason) = (select m.cancelled_at, m.cancel_reason where proven.next = 'cancelled'),
         updated_at = clock_timestamp()
    -- Of several the last one: those before it were of parts before its own, or had not arrived.
    from (select distinct on (named.id) named.* from named
           where named.has_row and named.token in (select token from recovered)
           order by named.id, named.part desc, named.started_at desc nulls last, named.token desc) proven
   where m.id = proven.id
     and (m.status in ('pending', 'sending', 'failed', 'cancelled', 'unconfirmed') and proven.part >= m.parts_done
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
), wrote as (
  select punctual.write_sent(m.ids, m.conversations, m.bodies, m.senders, m.recipients, m.sids, m.finished_at) as refusal
    from (select array_agg(id) as ids, array_agg(conversation_id::uuid) as conversations,
                 array_agg(body::text) as bodies, array_agg(sent_from) as senders,
                 array_agg(sent_to::text) as recipients, array_agg(sid) as sids, array_agg(finished_at) as finished_at
            from shown
          having count(*) > 0) m
)
select token, 'done' as what, null::text as refusal from named
 where has_attempt or known or token in (select token from recovered)
union all
select token, 'recovered', null from recovered
union all
select token, 'doubled', null from (table ledger union all table recovered) accepted where doubled
union all
select null, 'refused', refusal from wrote where refusal is not null
-- name: path_record_settled
-- Records every outcome that is not positive.
--
--   ask ─▶ done ─┬─▶ moved
--                ├─▶ ledger ─▶ places
--                └─▶ reaped
--
-- These are fenced: only the attempt that is in flight may move its row, and only out of `sending`. A locked
-- row is skipped and missing in the result; the caller tries it again.
-- $1 ids  $2 tokens  $3 status  $4 outcome  $5 code  $6 category  $7 reason
-- $8 pause before the next try (us; null: none), from $11 on, as that is by a clock that follows no jump  $9 whether it
-- counts as an attempt
-- $10 request started  $11 answer came  $12 deferred until, and then the reason is why
-- $13 when an uncertain outcome is first looked up (ms); $14 to whom, $15 from whom and
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
     -- What to look up while the outcome is uncertain, as it was sent: the row may be edited once it is
     -- `unconfirmed`.
     select m.body, btrim(m.to_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') as lookup_to, nullif(btrim(m.from_number, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000'), '') as lookup_from,
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
         -- For a row that is gone there is no look-up.
         next_lookup_at = case when done.row_text is not null
                            then coalesce(done.finished_at, clock_timestamp())
                                 + $13::bigint * interval '1 millisecond' end,
         lookup_to = case when done.row_text is not null then coalesce(done.lookup_to, done.row_to) end,
         lookup_from = case when done.row_text is not null then coalesce(done.lookup_from, done.row_from) end,
         lookup_text = case when done.row_text is not null
                         then coalesce(done.lookup_text, sha256(convert_to(btrim(a.body, E' \t\r\n'), 'UTF8')), done.row_text) end,
         -- Only what was rendered: the row has the rest.
         body = coalesce(nullif(done.body, done.row_body), a.body),
         -- What may have been sent keeps its quota of the user's day.
         quota_returned = a.day is not null and done.outcome <> 'unknown'
    from done
   where a.token = done.token and a.message_id = done.id and (a.outcome || '') is null
  returning a.user_id, a.day, a.quota_returned
), places as (
  -- In the order of the claims. Only once, because the attempt was open until now.
  insert into punctual.daily_counts as c (user_id, day, count)
  select l.user_id, l.day, 0 from ledger l where l.quota_returned group by l.user_id, l.day order by l.user_id, l.day
  on conflict (user_id, day) do update
     set count = greatest(c.count - (select count(*) from ledger l
                                      where l.quota_returned and l.user_id = c.user_id and l.day = c.day)::int, 0)
), reaped as (
  -- Recorded as unknown meanwhile, by an instance that took this one for dead. That its request did begin is
  -- recorded nonetheless: what never began may be sent.
  update punctual.attempts a
     set started_at = done.started_at
    from done
   where a.token = done.token and a.message_id = done.id and a.outcome = 'unknown'
     and a.started_at is null and done.started_at is not null
), moved as (
  update public.scheduled_messages m
     set status = done.status,
         attempts = greatest(m.attempts - (not done.counts)::int, 0),
         -- A part that was not the first keeps the gap.
         next_attempt_at = case when done.status = 'pending'
                                then coalesce(coalesce(done.finished_at, clock_timestamp())
                                              + done.pause_us * interval '1 microsecond',
                                              case when m.parts_done > 0 then m.next_attempt_at end) end,
         error_message = case when done.status in ('failed', 'unconfirmed') then done.reason
                              when done.deferred_until is not null then m.error_message
                              when done.status = 'pending' then coalesce(done.reason, m.error_message)
                              -- Why the policy judged again: the last refusal is kept beside the verdict.
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
  returning done.token, m.status, m.version, m.attempts, m.priority, m.channel, m.account,
            case when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'webhook' then m.to_number::text when (case when m.channel::text = 'sms' then 'sms' else coalesce(nullif(lower(btrim(m.channel::text, E' \t\n\x0B\f\r\u0085\u00A0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u2028\u2029\u202F\u205F\u3000') collate "C") collate "default", ''), 'sms') end) = 'sms' then m.from_number::text end as lane_address,
            greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at) as due
)
select token, status::text, version::bigint, attempts::int, due, priority::text, channel::text, account::text,
       lane_address
  from moved
union all
select token, null, null, null, null, null, null, null, null from done
-- name: path_sample
-- What only the database knows and should be monitored. The counts are bounded: they are made every few
-- seconds.
-- $1 count at most
select pg_notification_queue_usage() as notify_queue,
       (select count(*) from (select from public.scheduled_messages
                               where status = 'unconfirmed' limit $1) u)::float8 as in_doubt,
       (select count(*) from (select from punctual.outbox limit $1) o)::float8 as outbox
-- name: path_settings_keep
-- The settings of this installation; the instance that started last is right.
-- $1 zone  $2 business hours as they were written  $3 when the week opens (us from Monday 00:00)
-- $4 when it closes  $5 what is done about rows that cannot be sent  $6 what divides a text into parts (empty: nothing)
-- $7 the sender of each other account, for messages that name none
insert into punctual.settings as s (timezone, business_hours, open_from, open_until, validate, part_separator,
                                    account_senders)
values ($1::text, $2::text, $3::bigint[], $4::bigint[], $5::text, $6::text, $7::jsonb)
on conflict (one) do update
   set timezone = excluded.timezone, business_hours = excluded.business_hours,
       open_from = excluded.open_from, open_until = excluded.open_until,
       validate = excluded.validate, part_separator = excluded.part_separator,
       account_senders = excluded.account_senders, updated_at = clock_timestamp()
-- name: path_suppress
-- Records who opted out from which sender.
-- $1 our senders  $2 their numbers, one each  $3 reason
-- $4 the reply that requests it (null: no reply does); a known one changes nothing
with reply as (
  insert into punctual.opt_replies (id, command)
  select $4::text, 'stop' where $4::text is not null
  on conflict do nothing
  returning id
), pair as (
  select distinct ours, theirs
    from unnest($1::text[], $2::text[]) as p (ours, theirs)
   where $4::text is null or exists (select from reply)
), noted as (
  insert into punctual.suppressions (our_number, their_number, reason)
  select ours, theirs, $3 from pair order by theirs, ours
  on conflict do nothing
)
select count(*) as pairs from pair
-- name: path_template_uses
-- Adds the uses of templates since the last time to the app's counts.
select punctual.count_template_uses()
 where exists (select from punctual.template_uses)
-- name: path_unsuppress
-- The recipient wants messages from these senders again. What was cancelled stays cancelled.
-- $1 our senders  $2 their number  $3 the reply that requests it; a known one changes nothing
with reply as (
  insert into punctual.opt_replies (id, command) values ($3::text, 'start')
  on conflict do nothing
  returning id
)
delete from punctual.suppressions
 where their_number = $2::text and our_number = any ($1::text[]) and exists (select from reply)
