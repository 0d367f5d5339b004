-- rows ─▶ people ─▶ counted
-- What a claim of these messages would return now (claim.sql), and what delays it, for a forecast. Nothing is
-- locked, and no quota is taken. Rows that are not pending are left out. forecast_paces.sql reads their paces.
-- $1 ids  $2 the sender for rows that name none  $3 the installation's zone
-- $4 whether the app's own count of the day is honoured too
-- $5 the senders of all accounts that texts may go by which name none (null: of one)
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
), rows as materialized (
  select m.id, m.attempts, m.max_attempts, m.channel, m.account, m.to_number, m.from_number, m.body, m.send_before,
         m.subject, m.scheduled_at, m.timezone, m.message_type, m.priority, m.template_id, m.template_vars,
         m.calendar_event_id, m.event_start, m.user_id, m.campaign_id, m.parts_done, m.parts_total, media!(m) as media,
         due!(m) as due, wanted_at!(m) as wanted_at, paused.until as paused_until,
         btrim(m.to_number, white!()) as their_number, sender!(m) as our_number,
         array[sender!(m)] || case when is_text!(m) and not names_account!(m) then $5::text[] end as our_numbers,
         is_quarantined!(m) as is_quarantined, has_pace!(m) as has_pace,
         is_counted!(m) and m.parts_done = 0 as is_counted,
         case when paused.until > clock_timestamp() then paused_by!(m) end as paused_by
    from unnest($1::uuid[]) as ask (id)
    join public.scheduled_messages m on m.id = any (array[ask.id]) and is_pending!(m)
   cross join (select $2::text as sender, account_senders!() as senders) ours
   cross join lateral (select paused_until!(m) as until offset 0) paused
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
        from (values (0, btrim(r.timezone::text, white!())), (1, btrim((p.facts).timezone, white!())),
                     (2, btrim((p.facts).account_timezone, white!())), (3, $3::text)) as z (rank, zone)
        join punctual.days y on y.zone = lower(z.zone collate "C") collate "default" and y.starts <= t.at and t.at < y.ends
       where t.at < 'infinity'
       order by z.rank
       limit 1) y on true
   cross join lateral (
     select coalesce(y.starts, date_trunc('day', t.at, 'UTC')) as starts,
            coalesce(y.day, (t.at at time zone 'UTC')::date) as day) d
    left join punctual.daily_counts c on c.user_id = any (array[r.user_id]) and c.day = any (array[d.day])
   where r.is_counted and (p.facts).daily_limit is not null
)
select r.id, '00000000-0000-0000-0000-000000000000'::uuid as token, 1 as number, r.attempts::int as attempts_before,
       coalesce(r.max_attempts, 3)::int as max_attempts, r.due, r.wanted_at, r.send_before, r.channel::text, r.account::text,
       r.to_number::text, r.from_number::text, r.body::text,
       r.parts_done::smallint as part, coalesce(r.parts_total, 1)::smallint as parts,
       case when r.parts_done > 0 then (kept_texts!(r))[r.parts_done + 1] end as part_text,
       r.scheduled_at, r.user_id, r.campaign_id::text, r.timezone::text, r.message_type::text, r.priority::text, false as is_retry,
       r.template_vars::text as template_vars, r.subject::text, r.media, campaign_hours!(r) as campaign_hours,
       case when r.message_type::text like '%.%' then punctual.quiet_hours_of(r.user_id, r.message_type::text) end as type_hours,
       t.name::text as template_name, t.message_template::text as template_text,
       t.required_vars::text as template_required, t.max_length::int as template_max_length,
       t.is_active as template_is_active, case when channel!(r) = 'email' then punctual.html_of(t.id) end as html,
       coalesce((p.facts).has_preferences, false) as has_preferences, (p.facts).phone_verified, (p.facts).opted_out,
       (p.facts).off, (p.facts).quiet_start, (p.facts).quiet_end, (p.facts).timezone as user_timezone,
       (p.facts).event_is_cancelled as event_gone, (p.facts).phone_number as user_number, (p.facts).account_timezone,
       (p.facts).is_planned, nullif(r.calendar_event_id, '') is not null as names_event, (p.facts).event_is_there,
       case when r.calendar_event_id is not null then coalesce((p.facts).event_start, r.event_start) end as event_start,
       null::text as place_day, case when c.left_today < 1 then c.daily_limit end as over_limit, c.id is not null as is_limited,
       r.paused_until, r.paused_by, r.is_quarantined,
       opt_out_of!(r) as suppressed,
       case when r.parts_done > 0 then (
        select max(a.lease_until) from punctual.attempts a where a.message_id = r.id and is_open!(a)) end as open_until,
       pace.id as pace, rate.id as rate, case when rate.id is not null then charge!(r) end as segments
  from rows r left join people p on p.id = r.id
  left join counted c on c.id = r.id
  left join punctual.paces pace
    on r.has_pace and r.parts_done = 0 and pace.scope = 'campaign' and pace.what = any (array[r.campaign_id::text])
  left join punctual.paces rate on r.has_pace and is_text!(r) and rate.scope = 'sender' and rate.what = any (array[r.our_number])
  left join punctual.facts_of_templates(
         (select array_agg(distinct template_id) from rows where template_vars is not null)) t
    on t.id = r.template_id and r.template_vars is not null
