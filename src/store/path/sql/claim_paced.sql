-- Claims messages that wait for a slot: of each pace the first that is due, if its slot begins within the lead.
--   asked ─▶ first ─▶ rated ─▶ slots ─▶ free ─▶ (the steps of claim.sql) ─▶ taken
-- The message is locked before its paces, and all before quota; rows that are locked are passed over. What is not won
-- takes no slot: what is cancelled instead, because the recipient has opted out, has no token in the result. A message
-- of a campaign with a pace whose sender has a rate takes the later of both slots.
-- The next slot of a campaign begins a gap after the latest moment at which this message may start, so the gap is kept
-- by whatever instance starts the next one. That of a sender is a token bucket: `next_at` is when there is room for one
-- segment, and each segment moves it on; it is never further back than a burst.
-- Lateness counts from when there was a slot, however long ago; that of a retry from the first request. `slot` of a
-- pace is what it had before, which an attempt that began no request returns (triggers/paces.sql); what was paused had
-- none before the end of its pause.
-- $1 paces  $2 tokens, one each  $3 to $14 as in claim.sql ($13 for each pace)
-- $15 how long after its slot a message may start (us)  $17 the same if its sender has a rate, for each pace
-- $16 how many of the first are left out, because the app refuses their claim
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
), reach as materialized (
  select clock_timestamp() + $5::bigint * interval '1 microsecond' as at
), stopped as materialized (
  select o.scope, o.what from punctual.pauses o where o.until > (select at from reach)
), asked as materialized (
  select p.id as pace, a.token, a.slack, a.via, p.scope, p.what
    from unnest($1::uuid[], $2::uuid[], $17::bigint[], $13::text[]) as a (pace, token, slack, via)
    join punctual.paces p on p.id = any (array[a.pace])
   where (select punctual.check_history($3::uuid, $9::bigint, $10::uuid[], $11::uuid[]))
     and p.next_at <= (select at from reach)
     -- None of its messages is looked at while all of them are paused.
     and not exists (
       select from punctual.pauses o
        where (o.scope, o.what) in (('everything', ''), (p.scope, p.what)) and o.until > (select at from reach))
), first as materialized (
  select p.pace, p.token, p.slack as rate_slack, p.scope, m.*
    from asked p
   cross join (select $6::text as sender, account_senders!() as senders) ours
   cross join reach
   cross join lateral (
     select m.*
       from (select * from (queue!(p)) q (id, due) order by q.due, q.id limit passed_over!()) q
      cross join lateral (
        select m.id, m.user_id, m.calendar_event_id::text as event, btrim(m.to_number, white!()) as their_number,
               array[sender!(m)] || case when is_text!(m) and not names_account!(m) then $14::text[] end as our_numbers,
               sender!(m) as our_number, is_text!(m) as is_text, due!(m) as due, wanted_at!(m) as wanted_at, charge!(m) as segments
          from public.scheduled_messages m
         where m.id = q.id and is_pending!(m) and is_queued!(m)
           and due!(m) <= reach.at
           and not is_stopped!(m)
           and not is_quarantined!(m)
           and via_is_free!(p)
           -- It may have left the queue since this statement began.
           and case p.scope when 'campaign' then m.campaign_id::text = p.what else sender!(m) = p.what end
           for no key update of m skip locked) m
     offset $16::bigint limit 1) m
), rated as materialized (
  -- Another claim may have moved them on meanwhile: they are read as they are once they are locked.
  select f.*, r.id as rate,
         greatest(case when p.scope = 'campaign' then p.next_at end,
                  r.next_at + (least(f.segments, r.burst) - 1) * r.gap_min) as open_from,
         case when r.id is null then $15::bigint else f.rate_slack end * interval '1 microsecond' as slack
    from first f
   cross join lateral (
     select p.* from punctual.paces p where p.id = f.pace for no key update skip locked) p
    left join lateral (
     select r.* from punctual.paces r
      where f.is_text and r.scope = 'sender' and r.what = f.our_number for no key update skip locked) r on true
   where r.id is not null
      or not (f.is_text and exists (select from punctual.paces o where o.scope = 'sender' and o.what = f.our_number))
), slots as materialized (
  select r.*,
         -- A claim that is a little late moves no slot: the rate is kept, and there is time left to start.
         case when clock_timestamp() < r.ready + r.slack / 2 then r.ready else clock_timestamp() end as slot
    from (select r.*, greatest(r.due, r.open_from) as ready, row_number() over (partition by r.rate order by r.due, r.id) as nth
            from rated r) r
   where r.ready <= (select at from reach) and (r.rate is null or r.nth = 1)
), free as materialized (
  select f.id, f.token, f.user_id, f.event, opt_out_of!(f) as opted_out
    from slots f
),
claim_steps!()
, claimed as materialized (
claim_result!()
), taken as (
  update punctual.paces p
     set position = p.position + 1, token = s.token, slot = greatest(p.next_at, s.wanted - (p.burst - 1) * p.gap_min),
         next_at = case p.scope
                     when 'campaign' then s.slot + $15::bigint * interval '1 microsecond'
                                          + punctual.pace_gap(p.seed, p.position, p.gap_min, p.gap_max)
                     else greatest(p.next_at, s.slot - (p.burst - 1) * p.gap_min) + s.segments * p.gap_min end
    from (select s.*, c.wanted_at as wanted, u.id as taken
            from slots s
            join claimed c on c.token = s.token
           cross join lateral unnest(array[s.pace, nullif(s.rate, s.pace)]) u (id)
           where u.id is not null) s
   where p.id = any (array[s.taken])
  returning p.id as pace, p.token as slot_token, p.next_at
)
select c.*, s.pace, s.rate, case when s.rate is not null then s.segments end as charged, s.slot,
       s.slot + s.slack as latest, t.next_at, least(coalesce(s.open_from, s.slot), case when c.is_retry then (
         select min(a.started_at) from punctual.attempts a
          where a.message_id = c.id and a.part = c.part and a.started_at >= c.wanted_at) end) as late_from
  from claimed c
  join slots s on s.id = c.id left join taken t on t.slot_token = s.token and t.pace = s.pace
