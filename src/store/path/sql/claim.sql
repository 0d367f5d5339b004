-- Claims messages: pending -> sending, under the token the caller drew for each, with a lease.
-- The database judges the time. A row that somebody holds is skipped, never waited for, and
-- rows are locked in id order, so a claim can take no part in a deadlock. What goes to somebody
-- who has opted out is cancelled instead, and so not won. What is known of users, events and
-- templates comes along for the policy to judge by, and each message that is counted takes a place
-- in its user's day, or finds that there is none.
-- Types are said here and below: a prepared statement does not survive a change of its result,
-- and the app may alter text to varchar under a running daemon.
-- $1 ids  $2 tokens, one each  $3 instance  $4 lease (ms)  $5 how long before due (us)
-- $6 who sends where a row names nobody  $7 the installation's zone
-- $8 whether the app's own count of the day is honoured as well
with free as (
  select m.id, ask.token, m.user_id, m.calendar_event_id::text as event,
         (select s.reason from punctual.suppressions s
           where s.their_number = btrim(m.to_number)
             and (s.our_number is null
                  or s.our_number = coalesce(nullif(btrim(m.from_number), ''), $6::text))
           limit 1) as opted_out
    from unnest($1::uuid[], $2::uuid[]) as ask (id, token)
    join public.scheduled_messages m on m.id = ask.id
   where m.status = 'pending'
     and due!(m)
         <= clock_timestamp() + $5::bigint * interval '1 microsecond'
   order by m.id
     for no key update of m skip locked
), unwanted as (
  update public.scheduled_messages m
     set status = 'cancelled', cancel_reason = free.opted_out, cancelled_at = clock_timestamp(),
         updated_at = clock_timestamp()
    from free
   where m.id = free.id and free.opted_out is not null
), theirs as (
  -- A message of nobody's asks for nothing. The locks are taken by now: the sub-select reads
  -- all of them.
  select f.id, f.token, f.user_id, f.facts
    from (select array_agg(id) as ids, array_agg(token) as tokens, array_agg(user_id) as users,
                 array_agg(event) as events
            from free where user_id is not null and opted_out is null) a,
         lateral punctual.facts_of(a.ids, a.tokens, a.users, a.events) f
), asked as (
  select t.id, t.token, t.user_id, t.facts, m.scheduled_at, m.message_type, m.send_before,
         greatest(m.scheduled_at, m.deferred_until, m.next_attempt_at, clock_timestamp()) as at,
         case btrim(m.priority::text) when 'urgent' then 0 when 'high' then 1 when 'low' then 3 else 2 end as rank,
         lower(btrim(m.timezone::text, E' \t\r\n')) as own_zone,
         lower(btrim((t.facts).timezone, E' \t\r\n')) as user_zone
    from theirs t
    join public.scheduled_messages m on m.id = t.id
), today as materialized (
  -- In each zone that is named: one row, or two about its midnight. A herd lives in few zones.
  select y.*
    from (select own_zone as zone from asked
           union select user_zone from asked
           union select lower($7::text)) named
    join punctual.days y on y.zone = named.zone
   where y.starts <= (select max(at) from asked) and (select min(at) from asked) < y.ends
), asking as (
  select a.id, a.token, a.user_id, a.facts, a.scheduled_at, a.rank, d.today,
         -- Counted is what has a limit and is wanted; the policy says no to the rest.
         (a.facts).daily_limit is not null and not (a.facts).opted_out and (a.facts).phone_verified
         and coalesce(btrim(a.message_type::text) <> all ((a.facts).off), true)
         and (a.facts).event_is_cancelled is not true
         -- What comes too late takes nobody's place.
         and coalesce(a.at <= a.send_before, true) as counts
    from asked a
   cross join lateral (
     -- The row's zone, else the user's, else the installation's; what is no zone has no days.
     select coalesce(
       (select row(y.*)::punctual.days from today y
         where y.zone = a.own_zone and y.starts <= a.at and a.at < y.ends limit 1),
       (select row(y.*)::punctual.days from today y
         where y.zone = a.user_zone and y.starts <= a.at and a.at < y.ends limit 1),
       (select row(y.*)::punctual.days from today y
         where y.zone = lower($7::text) and y.starts <= a.at and a.at < y.ends limit 1),
       row('utc', date_trunc('day', a.at, 'UTC'), 'infinity', (a.at at time zone 'UTC')::date)::punctual.days) as today) d
), places as (
  -- All of a user's in one row, users in order: so neither two claims, nor a claim and a record,
  -- wait for each other crosswise.
  insert into punctual.daily_counts as c (user_id, day, wanted, most, app_left, granted, count)
  select w.user_id, w.day, w.wanted, w.most, w.app_left, w.granted, w.granted
    from (select a.user_id, (a.today).day, count(*)::int as wanted, min((a.facts).daily_limit) as most,
                 min(v.app_left) as app_left,
                 greatest(least(count(*)::int, min((a.facts).daily_limit), min(v.app_left)), 0) as granted
            from asking a
           cross join lateral (
             select case when $8::bool then (a.facts).daily_limit
                      -- A count that was last set to zero before today is yesterday's.
                      - case when (a.facts).app_reset_at < (a.today).starts then 0
                             else coalesce((a.facts).app_count, 0) end end as app_left) v
           where a.counts
           group by a.user_id, (a.today).day) w
   order by w.user_id, w.day
  -- The app's count is of what the app has sent itself: ours goes on top of it.
  on conflict (user_id, day) do update
     set wanted = excluded.wanted, most = excluded.most, app_left = excluded.app_left,
         granted = greatest(least(excluded.wanted, excluded.most - c.count, excluded.app_left - c.count), 0),
         count = c.count + greatest(least(excluded.wanted, excluded.most - c.count, excluded.app_left - c.count), 0)
  returning user_id, day, wanted, granted
), short as (
  select user_id, day, granted from places where granted < wanted
), left_out as (
  -- Where there are too few places: urgent first, then the order in which they are due.
  select id
    from (select a.id, s.granted,
                 row_number() over (partition by s.user_id, s.day order by a.rank, a.scheduled_at, a.id) as seat
            from short s
            join asking a on a.user_id = s.user_id and (a.today).day = s.day
           where a.counts) seated
   where seat > granted
), going as materialized (
  -- Materialized, for a row that changed since this statement began is judged anew below, by a copy
  -- of what is here; the places are not to be taken twice.
  select f.id, f.token, null::uuid as user_id, null::punctual.facts as facts, null::date as day,
         null::int as over_limit
    from free f
   where f.user_id is null and f.opted_out is null
  union all
  select a.id, a.token, a.user_id, a.facts, case when a.counts and l.id is null then (a.today).day end,
         case when l.id is not null then (a.facts).daily_limit end
    from asking a
    left join left_out l on l.id = a.id
), won as (
  update public.scheduled_messages m
     set status = 'sending', attempts = m.attempts + 1, updated_at = clock_timestamp()
    from going g
   where m.id = g.id
  returning m.id, g.token, m.attempts, m.max_attempts, m.to_number, m.from_number, m.body,
            m.send_before, m.scheduled_at, m.timezone, m.message_type, m.priority, m.template_id,
            m.template_vars, m.calendar_event_id, m.event_start,
            g.user_id, g.facts, g.day, g.over_limit,
            due!(m) as due,
            wanted_at!(m) as wanted_at,
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
       w.to_number::text, w.from_number::text, w.body::text, clock_timestamp() as now,
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
