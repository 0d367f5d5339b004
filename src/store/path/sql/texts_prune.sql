-- aged ─┬─▶ forgotten
--       └─▶ kept
-- What was counted more than a day ago is forgotten, but not that a message was freed which still waits. What another
-- session has locked is left for later.
-- $1 rows of each kind at most
with aged as materialized (
  select b.message_id,
         b.freed_at is not null
         and exists (select from public.scheduled_messages m
                      where m.id = any (array[b.message_id]) and m.status || '' in ('pending', 'sending')) as waits
    from punctual.bursts b
   where b.message_id = any (array(
           (select o.message_id from punctual.bursts o
             where not o.is_held and o.freed_at is null and o.at < (select clock_timestamp() - interval '1 day')
             order by o.at
             limit $1::bigint)
           union all
           (select o.message_id from punctual.bursts o
             where not o.is_held and o.freed_at is not null and o.freed_at < (select clock_timestamp() - interval '1 day')
             order by o.freed_at
             limit $1::bigint)))
     and not b.is_held
   order by b.message_id
     for update skip locked
), forgotten as (
  delete from punctual.bursts b using aged a where b.message_id = any (array[a.message_id]) and not a.waits
  returning b.message_id
), kept as (
  update punctual.bursts b
     set freed_at = clock_timestamp()
    from aged a
   where b.message_id = any (array[a.message_id]) and a.waits
)
select count(*) as n from forgotten
