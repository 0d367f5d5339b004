-- The users' time zones, with their number of rows; the first 100,000 rows of a large table.
select btrim(part.timezone, white!()) as zone, count(*) as n
  from (select p.timezone::text from public.user_sms_preferences p limit 100000) part
 where part.timezone ~ '\S'
 group by 1
 order by 2 desc, 1
