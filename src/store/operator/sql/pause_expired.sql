-- How many messages that a pause stops have passed their send_before, or the start of the event of which they remind,
-- counted up to a bound: those that are cancelled when it ends (`policy::too_late`). What another pause stops as well
-- is not, and is not counted.
-- $1 scope  $2 which one  $3 the sender for rows that name none, if no instance says it  $4 count at most
with stopped as materialized (
  select o.scope, o.what from punctual.pauses o
   where (o.scope, o.what) <> ($1::text, $2::text) and o.until > clock_timestamp()
), ours as materialized (
  select coalesce(published_sender!(), $3::text) as sender, account_senders!() as senders
)
select count(*)
  from (select id
          from ((select m.id
                   from public.scheduled_messages m
                  cross join ours
                  where m.status = 'pending' and m.send_before < (select clock_timestamp())
                    and ($1::text, $2::text) in (values pause_keys!(m))
                    and not is_stopped!(m)
                  order by m.send_before
                  limit $4)
                union
                (select m.id
                   from public.scheduled_messages m
                  cross join ours
                  where m.status = 'pending' and due!(m) < (select clock_timestamp())
                    and m.event_start < clock_timestamp() and m.scheduled_at < m.event_start and event_holds!(m)
                    and ($1::text, $2::text) in (values pause_keys!(m))
                    and not is_stopped!(m)
                  order by due!(m)
                  limit $4)) expired
         limit $4) counted
