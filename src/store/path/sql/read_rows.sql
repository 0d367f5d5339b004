-- The states of rows for an instance that wants to send them. One row for each requested id.
-- $1 ids
select ask.id, m.status::text, m.version::bigint, m.attempts::int, m.priority::text, m.channel::text,
       lane_address!(m) as lane_address,
       due!(m) as due, greatest(m.created_at, m.requeued_at) as written,
       case when m.status = 'sending' then
         (select max(a.lease_until) from punctual.attempts a
           where a.message_id = m.id and is_open!(a))
       end as lease_until
  from unnest($1::uuid[]) as ask (id)
  left join public.scheduled_messages m on m.id = ask.id
