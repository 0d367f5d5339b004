-- When the days of each zone begin and end. What was written before and is missing now is over, or came from
-- other zone data.
-- $1 zones  $2 starts  $3 ends  $4 dates
with wanted as (
  select t.zone, t.starts, t.ends, t.day::date as day
    from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[]) as t (zone, starts, ends, day)
), over as (
  delete from punctual.days d
   where (d.zone, d.starts) not in (select t.zone, t.starts from wanted t)
)
insert into punctual.days as d (zone, starts, ends, day)
select t.zone, t.starts, t.ends, t.day from wanted t order by t.zone, t.starts
on conflict (zone, starts) do update set ends = excluded.ends, day = excluded.day
 where (d.ends, d.day) is distinct from (excluded.ends, excluded.day)
