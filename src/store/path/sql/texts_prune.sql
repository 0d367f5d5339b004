-- held ─▶ ended ─▶ freed
-- aged ─┬─▶ forgotten
--       └─▶ kept
-- What the pause of its text stops no longer is held no longer; and what was counted more than a day ago is forgotten,
-- but not that a message was freed which still waits. What another session has locked is left for later.
-- $1 rows of each at most
with recursive held (what) as (
  (select b.what from punctual.bursts b where b.is_held order by b.what limit 1)
  union all
  select (select b.what from punctual.bursts b where b.is_held and b.what > h.what order by b.what limit 1)
    from held h
   where h.what is not null
), ended as materialized (
  select b.message_id
    from punctual.bursts b
   where b.message_id = any (array(
           select o.message_id
             from held h
            cross join lateral (
              select o.message_id from punctual.bursts o where o.is_held and o.what = h.what limit $1::bigint) o
            where h.what is not null
              and not exists (select from punctual.pauses p
                               where p.scope = 'text' and p.what = h.what and p.until > clock_timestamp())
            limit $1::bigint))
     and b.is_held
   order by b.message_id
     for update skip locked
), freed as (
  update punctual.bursts b
     set is_held = false, freed_at = clock_timestamp()
    from ended e
   where b.message_id = any (array[e.message_id])
  returning b.message_id
), aged as materialized (
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
select greatest((select count(*) from freed), (select count(*) from forgotten)) as n
