-- What failed within a day, by reason: one row, as in doctor_rows.sql. Attempts by the summaries of their times, and no
-- more than 10,000 of them.
with failed as materialized (
  select coalesce(a.category, a.outcome) as reason, m.id
    from (select a.message_id, a.category, a.outcome from punctual.attempts a
           where a.claimed_at > clock_timestamp() - interval '24 hours' and a.outcome in ('rejected', 'refused')) a
   cross join lateral (select m.id from public.scheduled_messages m where m.id = a.message_id and m.status = 'failed') m
   limit 10000
), by_reason as (
  -- A message may have been refused several times.
  select reason, count(distinct id) as n, min(id::text) as one from failed group by reason
)
select 'failed' as what, 'warn' as level,
       case when count(*) > 0
            then sum(n) || case when (select count(*) from failed) = 10000 then ' or more' else '' end
                 || ' in the last 24 hours: '
                 || string_agg(format('%s %s (one of them %s)', n, replace(reason, '_', ' '), one), ', ' order by n desc, reason)
       end as found,
       'none in the last 24 hours' as fine,
       '`punctual why ID` shows what was wrong; set a corrected row back to pending to send it' as remedy
  from by_reason
