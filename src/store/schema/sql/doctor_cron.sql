-- pg_cron jobs that name the table: possibly another sender. Only if pg_cron is installed.
select j.jobid::text || coalesce(' (' || j.jobname || ')', '') as job
  from cron.job j
 where j.active and j.command ilike '%scheduled_messages%'
 order by j.jobid
