-- Cancels what is later than is allowed, in bulk, so that a first start on an old table neither
-- texts the past nor claims it row by row; and what is past its own send_before. What is claimed
-- meanwhile is judged there, by the same rules (policy/mod.rs) and in the same words.
-- The moments are sub-selects: asked once, they are looked for in an index, where
-- clock_timestamp() itself would be compared with every row that is pending.
-- $1 max lateness (us)  $2 rows at most, of each kind  $3 what is due before this is held and left
-- alone (null: nothing is)
with late as (
  (select m.id
     from public.scheduled_messages m
    where m.status = 'pending'
      and due!(m) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
      and wanted_at!(m) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
      and due!(m) >= coalesce($3::timestamptz, '-infinity')
    order by due!(m)
    limit $2)
  union
  (select m.id
     from public.scheduled_messages m
    where m.status = 'pending' and m.send_before < (select clock_timestamp())
      and due!(m) >= coalesce($3::timestamptz, '-infinity')
    order by m.send_before
    limit $2)
), free as (
  -- Asked again of the row as it is once it is held: an edit that was committed meanwhile counts.
  select m.id
    from public.scheduled_messages m
   where m.id in (select id from late) and is_pending!(m)
     and (m.send_before < clock_timestamp()
          or greatest(due!(m), wanted_at!(m)) < clock_timestamp() - $1::bigint * interval '1 microsecond')
     and due!(m) >= coalesce($3::timestamptz, '-infinity')
   order by m.id
     for no key update skip locked
)
update public.scheduled_messages m
   set status = 'cancelled', cancelled_at = clock_timestamp(), updated_at = clock_timestamp(),
       cancel_reason = case
         -- Whichever came first. Not later than now, so that there is something to add to.
         when m.send_before <= least(wanted_at!(m), clock_timestamp())
                               + $1::bigint * interval '1 microsecond' then
           'too late: send_before was '
           || case when isfinite(m.send_before)
                   then to_char(m.send_before at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                   else '-infinity' end
         -- A time can be -infinity, which is not to be subtracted from.
         when isfinite(wanted_at!(m)) then
           format('too late: %s s after its time, more than the %s s allowed',
             floor(extract(epoch from clock_timestamp() - wanted_at!(m))),
             $1::bigint / 1000000)
         else format('too late: its time is -infinity, more than the %s s allowed', $1::bigint / 1000000)
       end
  from free
 where m.id = free.id
