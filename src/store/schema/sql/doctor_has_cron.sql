-- Whether pg_cron is installed, and this role may read its jobs.
select coalesce(has_table_privilege(to_regclass('cron.job'), 'select'), false)
