-- The facts that a claim needs about its recipients, and the quota of their day. Re-runnable; replaced as a
-- whole. Called by the daemon alone, in its sessions.

--   messages ─▶ facts_of ─▶ the recipient's day ─▶ daily_counts ─▶ facts, the day that is taken or the limit
--
-- For messages whose rows the caller has locked: the facts about each one's user and event, and, where it
-- counts, quota of the user's day, or that none is left. Messages without a user are not passed, and those that
-- must not be claimed yet are not returned. Types are given: the app may alter text to varchar under a running
-- daemon.
create or replace function punctual.reserve_quota(ids uuid[], tokens uuid[], users uuid[], events text[],
                                                  installation text, honour_app_count boolean)
returns table (id uuid, token uuid, user_id uuid, facts punctual.facts, day date, over_limit int)
language plpgsql set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  with asked as materialized (
    select f.id, f.token, f.user_id, f.facts, m.at, m.rank, m.scheduled_at, m.own_zone,
           lower(btrim((f.facts).timezone, white!()) collate "C") collate "default" as user_zone,
           lower(btrim((f.facts).account_timezone, white!()) collate "C") collate "default" as account_zone,
           -- Only messages with a limit that may be sent count; the policy rejects the rest.
           m.is_counted and (f.facts).daily_limit is not null and not (f.facts).opted_out and (f.facts).phone_verified
           and coalesce(m.message_type <> all ((f.facts).off), true)
           and (f.facts).event_is_cancelled is not true
           -- What comes too late uses no quota.
           and coalesce(m.at <= m.send_before, true) as counts
      from punctual.facts_of(ids, tokens, users, events) f
     cross join lateral (
       -- A message counts once, with its first part.
       select m.scheduled_at, m.send_before, is_counted!(m) and m.parts_done = 0 as is_counted, btrim(m.message_type::text, white!()) as message_type,
              greatest(due!(m), clock_timestamp()) as at,
              case btrim(m.priority::text, white!()) when 'urgent' then 0 when 'high' then 1 when 'low' then 3 else 2 end as rank,
              lower(btrim(m.timezone::text, white!()) collate "C") collate "default" as own_zone
         from public.scheduled_messages m
        where m.id = f.id
          -- Not what has missed a change (task_calendar_events.sql), which the daemon applies first. It is read
          -- here, in a snapshot that is newer than the caller's locks: a change that was recorded under the row's
          -- lock, just before the caller got it, is visible.
          and not exists (select from punctual.missed_event_changes u where u.message_id = f.id)) m
  ), today as materialized (
    -- In each zone that is named: one row, or two around its midnight. A herd is in few zones.
    select y.*
      from (select own_zone as zone from asked
             union select user_zone from asked
             union select account_zone from asked
             union select lower(installation collate "C") collate "default") named
     cross join (select min(at) as first, max(at) as last from asked) span
     cross join lateral (
       select y.* from punctual.days y
        where y.zone = named.zone and y.starts <= span.last and span.first < y.ends) y
  ), dated as materialized (
    -- The row's zone, else the user's (of the preferences, of the account), else the installation's; an invalid zone
    -- has no days.
    select a.*, coalesce(d.starts, date_trunc('day', a.at, 'UTC')) as day_starts,
           coalesce(d.day, (a.at at time zone 'UTC')::date) as day
      from asked a
      left join lateral (
        select y.starts, y.day from today y
         where y.zone in (a.own_zone, a.user_zone, a.account_zone, lower(installation collate "C") collate "default")
           and y.starts <= a.at and a.at < y.ends
         order by case y.zone when a.own_zone then 0 when a.user_zone then 1 when a.account_zone then 2 else 3 end
         limit 1) d on true
  ), places as (
    -- All of a user's in one row, users in order: so neither two claims, nor a claim and a record, deadlock.
    insert into punctual.daily_counts as c (user_id, day, wanted, most, app_left, granted, count)
    select w.user_id, w.day, w.wanted, w.most, w.app_left, w.granted, w.granted
      from (select d.user_id, d.day, count(*)::int as wanted, min((d.facts).daily_limit) as most,
                   min(v.app_left) as app_left,
                   greatest(least(count(*)::int, min((d.facts).daily_limit), min(v.app_left)), 0) as granted
              from dated d
             cross join lateral (
               select case when honour_app_count then (d.facts).daily_limit
                        -- A count that was last reset before today is yesterday's.
                        - case when (d.facts).app_reset_at < d.day_starts then 0
                               else coalesce((d.facts).app_count, 0) end end as app_left) v
             where d.counts
             group by d.user_id, d.day) w
     order by w.user_id, w.day
    -- The app's count is of what the app has sent itself: Punctual's is added to it.
    on conflict (user_id, day) do update
       set wanted = excluded.wanted, most = excluded.most, app_left = excluded.app_left,
           granted = greatest(least(excluded.wanted, excluded.most - c.count, excluded.app_left - c.count), 0),
           count = c.count + greatest(least(excluded.wanted, excluded.most - c.count, excluded.app_left - c.count), 0)
    returning c.user_id, c.day, c.wanted, c.granted
  ), left_out as (
    -- If the quota does not suffice: urgent first, then the order in which they are due.
    select seated.id
      from (select d.id, p.granted,
                   row_number() over (partition by p.user_id, p.day order by d.rank, d.scheduled_at, d.id) as seat
              from places p
              join dated d on d.user_id = p.user_id and d.day = p.day
             where d.counts and p.granted < p.wanted) seated
     where seated.seat > seated.granted
  )
  select d.id, d.token, d.user_id, d.facts, case when d.counts and l.id is null then d.day end,
         case when l.id is not null then (d.facts).daily_limit end
    from dated d
    left join left_out l on l.id = d.id;
end
$$;
