-- The paces that have a message due up to a moment: when the next of each may start, and by which lane. What is paused is
-- due when the pause ends. What no claim would take (in quarantine, or waiting for a change of its event) is left out, so
-- that nobody asks for it again and again.
-- $1 until  $2 only these (null: all)  $3 the sender for rows that name none
with quarantine as materialized (
  select q.due_before from punctual.quarantine q where q.ended_at is null
)
select p.id, p.scope, p.what, p.next_at, m.due, m.channel, m.lane_address
  from punctual.paces p
 cross join lateral (
   select m.channel::text, lane_address!(m) as lane_address,
          case when e.until > clock_timestamp() then greatest(due!(m), e.until) else due!(m) end as due
     from public.scheduled_messages m
    cross join (select $3::text as sender) ours
    cross join lateral (select paused_until!(m) as until offset 0) e
    where m.status = 'pending' and m.campaign_id = p.what::uuid and m.parts_done = 0
      and due!(m) <= $1::timestamptz
      and coalesce(e.until <= $1::timestamptz, true)
      and not is_quarantined!(m)
      and not exists (select from punctual.missed_event_changes u where u.message_id = m.id)
    order by due!(m), m.id
    limit 1) m
 where (p.id = any ($2::uuid[]) or $2::uuid[] is null)
   -- None of its messages is looked at while all of them are paused.
   and not exists (
     select from punctual.pauses o
      where (o.scope, o.what) in (('everything', ''), (p.scope, p.what)) and o.until > $1::timestamptz)
