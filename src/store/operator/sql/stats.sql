-- How many messages of a filter there are, by hour, day, status or reason, and of each by status.
-- $1 to $14 as in walk.sql, whose steps these are  $15 by what; days are those of the installation's zone
walk_steps!()
select case $15::text
         when 'hour' then to_char(date_trunc('hour', m.due, 'UTC') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
         when 'day' then to_char(date_trunc('day', m.due at time zone (select coalesce(max(s.timezone), 'UTC') from punctual.settings s)), 'YYYY-MM-DD')
         when 'reason' then coalesce(reason!(m), 'none')
         else m.status end as key,
       m.status, count(*) as messages, (select count(*) from walked) = $14::bigint as is_partial
  from matching m
 group by 1, 2
 order by 1, 2
