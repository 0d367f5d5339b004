-- What was due and waits for a retry, as overdue.sql counts it: the provider could not be reached, throttled it, or
-- refused it for now, and each try moves the due time.
-- $1 due for longer than (us)  $2 rows at most  $3 the sender for rows that name none
-- $4 whether they are counted by lane, and not only by channel and account
with stopped as materialized (
  select o.scope, o.what from punctual.pauses o where o.until > clock_timestamp()
)
select 'retry' as kind, w.channel, w.account, w.lane_address, count(*) as messages,
       (extract(epoch from clock_timestamp() - greatest(min(w.since), clock_timestamp() - interval '30 days'))
        * 1000000)::bigint as oldest_us, null::uuid[] as tried, null::text[] as channels
  from (select channel!(m) as channel, m.account::text as account, case when $4::bool then lane_address!(m) end as lane_address,
               wanted_at!(m) as since
          from public.scheduled_messages m
         cross join (select $3::text as sender, account_senders!() as senders) ours
         where m.status = 'pending'
           and m.next_attempt_at >= (select clock_timestamp() - $1::bigint * interval '1 microsecond')
           and wanted_at!(m) < (select clock_timestamp() - $1::bigint * interval '1 microsecond')
           and not is_stopped!(m)
         order by m.next_attempt_at limit $2) w
 group by w.channel, w.account, w.lane_address
