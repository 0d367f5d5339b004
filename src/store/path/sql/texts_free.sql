-- held ─▶ over ─┬─▶ waiting ─▶ moved
--               └─▶ ended ─▶ freed
-- What the pause of its text stops no longer is held no longer, and is due. What another session has locked is left for
-- later. Returns which messages are due again, how many are freed, and whether something was held.
-- $1 rows at most
with recursive held (what) as (
  (select b.what from punctual.bursts b where b.is_held order by b.what limit 1)
  union all
  select (select b.what from punctual.bursts b where b.is_held and b.what > h.what order by b.what limit 1)
    from held h
   where h.what is not null
), over as materialized (
  select o.message_id, p.until
    from held h
    left join punctual.pauses p on p.scope = 'text' and p.what = h.what
   cross join lateral (
     select o.message_id from punctual.bursts o where o.is_held and o.what = h.what limit $1::bigint) o
   where h.what is not null and coalesce(p.until <= clock_timestamp(), true)
   limit $1::bigint
), waiting as materialized (
  select m.id, o.until
    from (select o.message_id, o.until from over o order by o.message_id) o
   cross join lateral (
     select m.id from public.scheduled_messages m
      where m.id = any (array[o.message_id]) and is_pending!(m)
        for no key update skip locked) m
), moved as (
  -- Its lateness counts from the end of the pause.
  update public.scheduled_messages m
     set deferred_until = greatest(nullif(m.deferred_until, 'infinity'), w.until),
         deferred_reason = case when m.deferred_until < 'infinity' then m.deferred_reason end,
         updated_at = clock_timestamp()
    from waiting w
   where m.id = any (array[w.id])
  returning m.id
), ended as materialized (
  select b.message_id
    from punctual.bursts b
   where b.message_id = any (array(
           select o.message_id from over o
            where o.message_id in (select w.id from waiting w)
               or not exists (select from public.scheduled_messages m
                               where m.id = any (array[o.message_id]) and is_pending!(m))))
     and b.is_held
   order by b.message_id
     for update skip locked
), freed as (
  update punctual.bursts b
     set is_held = false, freed_at = clock_timestamp()
    from ended e
   where b.message_id = any (array[e.message_id])
  returning b.message_id
)
select array(select m.id from moved m) as due, (select count(*) from freed) as n,
       exists (select from held h where h.what is not null) as is_held
