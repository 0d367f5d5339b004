-- The states of rows for an instance that wants to send them. One row for each requested id. What is paused is due
-- when the pause ends; what has a pace is returned with it.
-- $1 ids  $2 the sender for rows that name none
select ask.id, m.status::text, m.version::bigint, m.attempts::int, m.priority::text, m.channel::text, m.account::text,
       lane_address!(m) as lane_address,
       case when p.until > clock_timestamp() then greatest(due!(m), p.until) else due!(m) end as due,
       coalesce(p.until > clock_timestamp(), false) as is_paused,
       greatest(m.created_at, m.requeued_at) as written,
       pace.id as pace, pace.scope as pace_scope, pace.what as pace_what, pace.next_at as pace_next_at,
       case when m.status = 'sending' then
         (select max(a.lease_until) from punctual.attempts a
           where a.message_id = m.id and is_open!(a))
       end as lease_until
  from unnest($1::uuid[]) as ask (id)
  left join public.scheduled_messages m on m.id = any (array[ask.id])
 cross join (select $2::text as sender, account_senders!() as senders) ours
 cross join lateral (select paused_until!(m) as until offset 0) p
  left join lateral (
    -- It is in the queue of the first, and waits for both.
    select own.id, own.scope, own.what, max(own.next_at) over () as next_at
      from (values pace_keys!(m)) as key (scope, what)
      join punctual.paces own on own.scope = any (array[key.scope]) and own.what = any (array[key.what])
     where m.status = 'pending'
     order by own.scope
     limit 1) pace on true
