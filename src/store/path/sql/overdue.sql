-- What is due and not claimed, and whether another transaction has locked it. Read in a transaction that is
-- rolled back, so that it waits for no commit and leaves no lock.
-- $1 due for longer than (us)  $2 what is due before this is in quarantine (null: nothing is)
-- $3 rows at most  $4 of these, how many are tried for a lock  $5 the sender for rows that name none
with overdue as materialized (
  select m.id, due!(m) as due,
         coalesce(paused_until!(m) > clock_timestamp(), false) as is_paused,
         -- It waits for its pace, whose next slot is not overdue itself.
         has_pace!(m) and exists (
           select from punctual.paces p
            where p.scope = 'campaign' and p.what = m.campaign_id::text
              and p.next_at > clock_timestamp() - $1::bigint * interval '1 microsecond') as is_paced
    from public.scheduled_messages m
   cross join (select $5::text as sender) ours
   where m.status = 'pending'
     and due!(m) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
     and due!(m) >= coalesce($2::timestamptz, '-infinity')
   order by due!(m)
   limit $3
), tried as materialized (
  select id from overdue where not is_paused and not is_paced order by due limit $4
), free as materialized (
  select m.id
    from public.scheduled_messages m
   where m.id in (select id from tried)
     for no key update skip locked
)
select count(*) filter (where not is_paused and not is_paced) as messages,
       count(*) filter (where is_paused) as paused,
       count(*) filter (where is_paced and not is_paused) as paced,
       coalesce((extract(epoch from clock_timestamp()
                         - greatest(min(due) filter (where not is_paused and not is_paced), clock_timestamp() - interval '30 days'))
                 * 1000000)::bigint, 0) as oldest_us,
       (select count(*) from tried) > 0 and not exists (select from free) as is_locked
  from overdue
