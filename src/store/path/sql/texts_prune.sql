-- held ─▶ freed
-- What the pause of its text stops no longer is held no longer; and what was counted more than a day ago is forgotten.
-- $1 rows of each at most
with recursive held (what) as (
  (select b.what from punctual.bursts b where b.is_held order by b.what limit 1)
  union all
  select (select b.what from punctual.bursts b where b.is_held and b.what > h.what order by b.what limit 1)
    from held h
   where h.what is not null
), freed as (
  update punctual.bursts b
     set is_held = false
   where b.ctid = any (array(
           select o.ctid
             from held h
            cross join lateral (
              select o.ctid from punctual.bursts o where o.is_held and o.what = h.what limit $1::bigint) o
            where h.what is not null
              and not exists (select from punctual.pauses p
                               where p.scope = 'text' and p.what = h.what and p.until > clock_timestamp())
            limit $1::bigint))
     and b.is_held
  returning b.message_id
), forgotten as (
  delete from punctual.bursts b
   where b.ctid = any (array(
           select o.ctid from punctual.bursts o
            where not o.is_held and o.at < (select clock_timestamp() - interval '1 day')
            order by o.at
            limit $1::bigint))
     and not b.is_held
  returning b.message_id
)
select greatest((select count(*) from freed), (select count(*) from forgotten)) as n
