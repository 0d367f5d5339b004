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
     select m.id, m.user_id, m.calendar_event_id::text as event, btrim(m.to_number, white!()) as their_number,
            sender!(m) as our_number, due!(m) as due
       from public.scheduled_messages m
      cross join (select $6::text as sender) ours
      where m.status = 'pending' and m.campaign_id = p.campaign and m.parts_done = 0
        and due!(m) <= (select clock_timestamp() + $5::bigint * interval '1 microsecond')
        and coalesce(paused_until!(m) <= clock_timestamp() + $5::bigint * interval '1 microsecond', true)
        and not is_quarantined!(m)
        and not exists (select from punctual.missed_event_changes u where u.message_id = m.id)
      order by due!(m), m.id
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
claim_steps!()
, claimed as materialized (
claim_result!()
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
