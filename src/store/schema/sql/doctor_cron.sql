-- pg_cron jobs that may be another sender, by their own text or by the functions that they call. Only if
-- pg_cron is installed. Deleting old rows sends nothing.
with recursive reached (job, name, source, own_words, depth) as (
  select j.jobid::text || coalesce(' (' || j.jobname || ')', ''), '' collate "C", plain_source!(j), lower(j.prosrc), 1
    from (select jobid, jobname, command collate "C" as prosrc, null::oid as oid from cron.job where active) j
  union
  select r.job, p.proname::text, plain_source!(p), r.own_words, r.depth + 1
    from reached r
    join pg_catalog.pg_proc p on calls!(r) and r.depth < 5
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
   where n.nspname not in ('pg_catalog', 'information_schema', 'punctual')
)
select job, case when bool_or(names_table) then 'names scheduled_messages' else 'makes requests' end as does
  from (select job, own_words, makes_requests!(reached) as requests,
               regexp_replace(source, '\mdelete\s+from\s+(only\s+)?([a-z_]+\.)?scheduled_messages', '', 'g')
                 ~ '\mscheduled_messages\M' as names_table
          from reached) r
 group by job
having bool_or(names_table) or bool_or(requests) and bool_or(own_words ~ 'sms|text|messag|remind|notif')
 order by job
