-- stopped ─▶ late, past_their_end
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
with stopped as materialized (
  -- Stopped by a pause that is in force, or that ended so lately that nothing is too late yet.
  select o.scope, o.what from punctual.pauses o
   where o.until >= clock_timestamp() - $1::bigint * interval '1 microsecond'
), late as (
  select m.id
    from public.scheduled_messages m
   cross join (select $4::text as sender, account_senders!() as senders) ours
   where m.status = 'pending'
     and due!(m) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
     and late_from!(m) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
     and due!(m) >= coalesce($3::timestamptz, '-infinity')
     and not is_stopped!(m)
     and not has_pace!(m)
     and not exists (select from punctual.missed_event_changes u where u.message_id = any (array[m.id]) and u.refused_at is null)
   order by due!(m)
   limit $2
     for no key update of m skip locked
), past_their_end as (
  with stopped as materialized (
    select o.scope, o.what from punctual.pauses o where o.until > clock_timestamp()
  )
  select m.id
    from public.scheduled_messages m
   cross join (select $4::text as sender, account_senders!() as senders) ours
   where m.status = 'pending' and m.send_before < (select clock_timestamp())
     and due!(m) >= coalesce($3::timestamptz, '-infinity')
     and not is_stopped!(m)
     and not exists (select from punctual.missed_event_changes u where u.message_id = any (array[m.id]) and u.refused_at is null)
   order by m.send_before
   limit $2
     for no key update of m skip locked
)
-- Checked again once the row is locked: an edit that was committed meanwhile counts.
select m.id, case when has_pace!(m) then 'infinity' else greatest(late_from!(m), p.until) end, m.send_before, clock_timestamp()
  from public.scheduled_messages m
 cross join (select $4::text as sender, account_senders!() as senders) ours
 cross join lateral (select paused_until!(m) as until) p
 where m.id = any (array(select id from late union select id from past_their_end)) and is_pending!(m)
   and (m.send_before < clock_timestamp()
        or due!(m) < clock_timestamp() - $1::bigint * interval '1 microsecond')
   and due!(m) >= coalesce($3::timestamptz, '-infinity')
   -- Its event may have moved to a later time, which follow_missed applies first.
   and not exists (select from punctual.missed_event_changes u where u.message_id = any (array[m.id]) and u.refused_at is null)
   and coalesce(p.until <= clock_timestamp(), true)
 order by m.id
   for no key update of m skip locked
