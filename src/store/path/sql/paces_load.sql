-- span ─▶ ending, stopped, quarantine (what is passed over)
-- The paces that have a message due up to a moment: when the next of each may start, and by which lane. It is the one
-- that claim_paced.sql takes then: the first that no pause stops, or, if that is earlier, one whose pause has ended.
-- What no claim would take (in quarantine, or waiting for a change of its event) is left out, so that nobody asks for
-- it again and again.
-- $1 until  $2 only these (null: all)  $3 the sender for rows that name none
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
), span as materialized (
  select $1::timestamptz as at
), stopped as materialized (
  select o.scope, o.what from punctual.pauses o where o.until > clock_timestamp()
), ending as materialized (
  select from punctual.pauses o where o.until > clock_timestamp() and o.until <= (select at from span)
)
select p.id, p.scope, p.what,
       greatest(case when p.scope = 'campaign' then p.next_at end,
                r.next_at + (least(m.segments, r.burst) - 1) * r.gap_min, first.at) as next_at,
       m.channel, m.account, m.lane_address
  from punctual.paces p
 cross join (select $3::text as sender, account_senders!() as senders) ours
  left join lateral (
    select q.id, q.due
      from span as reach
     cross join lateral (select * from (queue!(p)) q (id, due) order by q.due, q.id limit passed_over!()) q
     cross join lateral (
       select from public.scheduled_messages m
        where m.id = q.id and is_pending!(m) and is_queued!(m) and not is_stopped!(m) and not is_quarantined!(m)
       offset 0) m
     limit 1) free on true
  left join lateral (
    -- Nothing that is due later is free earlier.
    select q.id, greatest(q.due, m.until) as at
      from (select coalesce(free.due, span.at) as at, span.at as last from span) reach
     cross join lateral (select * from (queue!(p)) q (id, due) order by q.due, q.id limit passed_over!()) q
     cross join lateral (
       select paused_until!(m) as until from public.scheduled_messages m
        where m.id = q.id and is_pending!(m) and is_queued!(m) and is_stopped!(m) and not is_quarantined!(m)
       offset 0) m
     where exists (select from ending) and m.until <= reach.last
     order by 2, q.id
     limit 1) soon on true
 cross join lateral (
   select c.id, c.at from (values (free.id, free.due), (soon.id, soon.at)) as c (id, at)
    where c.id is not null
    order by c.at, c.id
    limit 1) first
 cross join lateral (
   select m.channel::text, m.account::text, lane_address!(m) as lane_address,
          case when is_text!(m) then sender!(m) end as rated, charge!(m) as segments
     from public.scheduled_messages m
    where m.id = any (array[first.id])) m
  left join punctual.paces r on r.scope = 'sender' and r.what = m.rated
 where (p.id = any ($2::uuid[]) or $2::uuid[] is null)
   -- None of its messages is looked at while all of them are paused.
   and not exists (
     select from punctual.pauses o
      where (o.scope, o.what) in (('everything', ''), (p.scope, p.what)) and o.until > (select at from span))
