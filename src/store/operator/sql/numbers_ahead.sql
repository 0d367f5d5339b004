-- The recipients of the pending messages that will be due within this time, those after the last one that was checked.
-- What is due at the same instant as the last row is read with it, up to a bound; beyond that it is left out.
-- $1 how far ahead (s)  $2 rows  $3 rows with those of one instant
select w.until, m.id, m.due, m.version, m.to_number, m.from_number
  from (select clock_timestamp() + $1::bigint * interval '1 second' as until) w
  left join lateral (
    select o.*
      from (select m.id, due!(m) as due, m.version::bigint as version,
                   -- Others have addresses of another form.
                   case when is_text!(m) then m.to_number::text end as to_number,
                   case when is_text!(m) then nullif(btrim(m.from_number, white!()), '')::text end as from_number
              from public.scheduled_messages m
             where m.status = 'pending'
               and due!(m) > (select greatest(clock_timestamp(), max(c.until)) from punctual.number_checks c
                               where c.ahead_s = $1::bigint)
               and due!(m) <= w.until
             order by due!(m)
             fetch first ($2::bigint) rows with ties) o
     limit $3::bigint) m on true
