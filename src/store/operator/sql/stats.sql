-- How many messages of a filter there are, by time, status or reason, and of each by status.
-- $1 to $14 as in walk.sql, whose steps these are  $15 by what; days are those of the installation's zone.
-- `infinity` has no text as a time.
walk_steps!()
select coalesce(case
         when $15::text in ('10s', 'minute', '15min') then
           to_char(to_timestamp(floor(extract(epoch from m.due) / s.seconds) * s.seconds) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
         when $15::text = 'hour' then to_char(date_trunc('hour', m.due, 'UTC') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
         when $15::text = 'day' then to_char(date_trunc('day', m.due at time zone (select coalesce(max(s.timezone), 'UTC') from punctual.settings s)), 'YYYY-MM-DD')
         when $15::text = 'reason' then coalesce(reason!(m), 'none')
         else m.status end, 'infinity') as key,
       m.status, count(*) as messages, (select count(*) from walked) = $14::bigint as is_partial
  from matching m
 cross join (select case $15::text when '10s' then 10 when 'minute' then 60 else 900 end as seconds) s
 group by 1, 2
 order by 1, 2
