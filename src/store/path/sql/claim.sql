-- free ─┬─▶ people ─▶ going ─▶ won ─▶ ledger
--       └─▶ unwanted
-- Claims messages: pending -> sending, under the token the caller drew for each, with a lease.
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
-- $12 the account of each sender that chooses one, as Routes::lane has it (null: they are too many)
-- $13 for each id the account by which it goes if it names none (null: the default one); no join finds it, which would
-- compare each message with all of them
-- $14 the senders of all accounts that such texts may go by (null: of one): an opt-out from one is one from all
-- What the database has if its history is the one that this instance knows; otherwise the statement is refused:
-- $9 heartbeats of this instance  $10 attempts that were claimed  $11 attempts that have outcomes
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
), free as materialized (
  select m.id, ask.token, m.user_id, m.event, opt_out_of!(m) as opted_out
    from (select a.id, a.token, a.via from unnest($1::uuid[], $2::uuid[], $13::text[]) as a (id, token, via)
           where (select punctual.check_history($3::uuid, $9::bigint, $10::uuid[], $11::uuid[]))
           order by a.id) ask
   cross join lateral (
     select m.id, m.user_id, m.calendar_event_id::text as event, btrim(m.to_number, white!()) as their_number,
            array[sender!(m)] || case when is_text!(m) and not names_account!(m) then $14::text[] end as our_numbers
       from public.scheduled_messages m
      cross join (select $6::text as sender, account_senders!() as senders) ours
      where m.id = ask.id and is_pending!(m)
        and due!(m) <= clock_timestamp() + $5::bigint * interval '1 microsecond'
        -- What is stopped until then is claimed as far ahead as what is due then.
        and coalesce(paused_until!(m) <= clock_timestamp() + $5::bigint * interval '1 microsecond', true)
        and via_is_free!(ask)
        -- A part waits for every request at the parts before it.
        and (m.parts_done = 0
             or not exists (select from punctual.attempts o where o.message_id = any (array[m.id]) and is_open!(o)))
        and not is_quarantined!(m)
        and not has_pace!(m) -- It waits for a slot (claim_paced.sql).
        for no key update of m skip locked) m
),
-- Steps:
unwanted as (
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = free.opted_out, cancelled_at = clock_timestamp(),
         updated_at = clock_timestamp()
    from free
   where m.id = any (array[free.id]) and free.opted_out is not null
  returning m.id
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
   where m.id = any (array[g.id])
  returning m.id, g.token, m.attempts, m.max_attempts, m.channel, m.account, m.to_number, m.from_number, m.body,
            m.subject, m.send_before, m.scheduled_at, m.timezone, m.message_type, m.priority, m.template_id,
            m.template_vars, m.calendar_event_id, m.event_start,
            g.user_id, g.facts, g.day, g.over_limit,
            m.campaign_id, m.parts_done, m.parts_total, media!(m) as media,
            case when m.parts_done > 0 then (kept_texts!(m))[m.parts_done + 1] end as part_text,
            due!(m) as due,
            wanted_at!(m) as wanted_at,
            -- A row that was claimed and put back while this statement runs has an attempt that is not visible
            -- here: its number is taken, and the claim is refused and retried in halves.
            1 + coalesce((select max(a.number) from punctual.attempts a where a.message_id = m.id), 0)
              as number
), ledger as (
  insert into punctual.attempts (token, message_id, number, part, body, instance, lease_until, user_id, day, account)
  select w.token, w.id, w.number, w.parts_done, w.part_text, $3::uuid, clock_timestamp() + $4::bigint * interval '1 millisecond',
         case when w.day is not null then w.user_id end, w.day, coalesce(nullif(btrim(w.account, white!()), ''),
                  case when not names_account!(w) then coalesce((select case when num_nonnulls(variadic $13::text[]) > 0
                    then jsonb_object($2::uuid[]::text[], $13::text[]) end) ->> w.token::text, 'default') end,
                  (select $12::jsonb) ->> btrim(lane_address!(w), white!()), case when $12::jsonb is not null then 'default' end)
    from won w
)
-- Result:
-- What was cancelled instead has no token.
select coalesce(w.id, u.id) as id, w.token, w.number, (w.attempts - 1)::int as attempts_before,
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
       w.template_vars::text as template_vars, w.subject::text, w.media, campaign_hours!(w) as campaign_hours,
       case when w.message_type::text like '%.%' then punctual.quiet_hours_of(w.user_id, w.message_type::text) end as type_hours,
       t.name::text as template_name, t.message_template::text as template_text,
       t.required_vars::text as template_required, t.max_length::int as template_max_length,
       t.is_active as template_is_active, case when channel!(w) = 'email' then punctual.html_of(t.id) end as html,
       coalesce((w.facts).has_preferences, false) as has_preferences, (w.facts).phone_verified, (w.facts).opted_out,
       (w.facts).off, (w.facts).quiet_start, (w.facts).quiet_end, (w.facts).timezone as user_timezone,
       (w.facts).event_is_cancelled as event_gone, (w.facts).phone_number as user_number, (w.facts).account_timezone,
       (w.facts).is_planned, nullif(w.calendar_event_id, '') is not null as names_event, (w.facts).event_is_there,
       case when w.calendar_event_id is not null then coalesce((w.facts).event_start, w.event_start) end as event_start,
       w.day::text as place_day, w.over_limit
  from won w
  full join unwanted u on u.id = w.id
 cross join (select $6::text as sender, account_senders!() as senders) ours
 cross join lateral (select paused_until!(w) as until offset 0) p
  left join punctual.facts_of_templates(
         (select array_agg(distinct template_id) from won where template_vars is not null)) t
    on t.id = w.template_id and w.template_vars is not null
