-- Jobs of pg_cron that name the table: another sender, perhaps. Only where pg_cron is.
select j.jobid::text || coalesce(' (' || j.jobname || ')', '') as job
  from cron.job j
 where j.active and j.command ilike '%scheduled_messages%'
 order by j.jobid
