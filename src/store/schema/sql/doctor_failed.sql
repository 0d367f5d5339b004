-- What failed within a day, by reason: one row, as in doctor_rows.sql. By the rows, as `stats --by reason` counts them:
-- a report may fail a message that the provider had accepted, and a row may fail when it is written. No more than
-- 10,000 of those that were due last; what was due over four days ago is not reported any more.
with failed as materialized (
  select m.id, coalesce(reason!(m), 'unsendable_as_written') as reason
    from (select m.id, m.status, m.updated_at
            from public.scheduled_messages m
           where m.status = 'failed' and due!(m) > clock_timestamp() - interval '4 days'
           order by due!(m) desc
           limit 10000) m
   where m.updated_at > clock_timestamp() - interval '24 hours'
), by_reason as (
  select reason, count(*) as n, min(id::text) as one from failed group by reason
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
