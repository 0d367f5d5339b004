select coalesce(has_table_privilege(to_regclass('cron.job'), 'select'), false)
