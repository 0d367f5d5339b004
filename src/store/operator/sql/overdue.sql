-- stopped ─▶ overdue ─▶ waiting
-- What is due and not claimed: stuck, paused, or waiting for its pace; by channel and account, or by lane ($6). What
-- waits for a retry is read by overdue_retry.sql.
--
-- Each kind has a limit of its own, so that none hides another. What is paused or paced is passed over on the way to
-- what is stuck, and is read only while there are pauses or paces. What is stuck in the queue of a pace waits for the
-- first of it: it is counted by the lane of that one. `tried` are the first of each channel that are stuck, which
-- overdue_locked.sql tries for a lock; `channels` are those of the messages themselves.
-- $1 due for longer than (us)  $2 what is due before this is in quarantine (null: nothing is)
-- $3 rows of each kind at most  $4 of each channel, how many are tried for a lock  $5 the sender for rows that name
-- none
-- $6 whether they are counted by lane, and not only by channel and account
with stopped as materialized (
  select o.scope, o.what from punctual.pauses o where o.until > clock_timestamp()
), overdue as not materialized (
  select m.id, channel!(m) as channel, m.account::text as account,
         case when $6::bool then lane_address!(m) end as lane_address, due!(m) as since,
         is_stopped!(m) as is_paused,
         -- It waits for its pace, whose next slot is not overdue itself.
         has_pace!(m) and exists (
           select from (values pace_keys!(m)) as key (scope, what)
             join punctual.paces p on p.scope = any (array[key.scope]) and p.what = any (array[key.what])
            where p.next_at + (least(charge!(m), p.burst) - 1) * p.gap_min
                  > clock_timestamp() - $1::bigint * interval '1 microsecond') as is_paced,
         case when has_pace!(m) then (
           select p.id from (values pace_keys!(m)) as key (scope, what)
             join punctual.paces p on p.scope = any (array[key.scope]) and p.what = any (array[key.what])
            order by p.scope limit 1) end as queue
    from public.scheduled_messages m
   cross join (select $5::text as sender, account_senders!() as senders) ours
   where m.status = 'pending'
     and due!(m) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
     and due!(m) >= coalesce($2::timestamptz, '-infinity')
), waiting as materialized (
  (select 'stuck' as kind, id, channel, account, lane_address, since, queue
     from overdue
    where not is_paused and not is_paced
    order by since limit $3)
  union all
  (select 'paused', id, channel, account, lane_address, since, null
     from overdue
    where exists (select from stopped) and is_paused
    order by since limit $3)
  union all
  (select 'paced', id, channel, account, lane_address, since, null
     from overdue
    where exists (select from punctual.paces) and is_paced and not is_paused
    order by since limit $3)
)
select w.kind, w.channel, w.account, w.lane_address, count(*) as messages,
       (extract(epoch from clock_timestamp() - greatest(min(w.since), clock_timestamp() - interval '30 days'))
        * 1000000)::bigint as oldest_us, array_agg(w.id) filter (where w.kind = 'stuck' and w.n <= $4) as tried,
       array_agg(distinct w.own_channel) filter (where w.kind = 'stuck') as channels
  from (select w.kind, w.id, w.since, w.channel as own_channel,
               row_number() over (partition by w.kind, w.channel order by w.since) as n,
               case when f.id is null then w.channel else f.channel end as channel,
               case when f.id is null then w.account else f.account end as account,
               case when f.id is null then w.lane_address else f.lane_address end as lane_address
          from waiting w
          left join (
            select p.id, f.*
              from punctual.paces p
             cross join (select $5::text as sender, account_senders!() as senders) ours
             cross join (select 'infinity'::timestamptz as at) reach
             cross join lateral (
               select f.channel, f.account, f.lane_address
                 from (select * from (queue!(p)) q (id, due) order by q.due, q.id limit passed_over!()) q
                cross join lateral (
                  select channel!(m) as channel, m.account::text as account,
                         case when $6::bool then lane_address!(m) end as lane_address
                    from public.scheduled_messages m
                   where m.id = q.id and is_pending!(m) and is_queued!(m) and not is_stopped!(m)
                     and due!(m) >= coalesce($2::timestamptz, '-infinity')
                  offset 0) f
                limit 1) f
             where p.id in (select queue from waiting)) f on f.id = w.queue) w
 group by w.kind, w.channel, w.account, w.lane_address
