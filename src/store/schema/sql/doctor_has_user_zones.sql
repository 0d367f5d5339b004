-- Whether the preferences have time zones, and this role may read them.
select coalesce(bool_or(has_column_privilege(a.attrelid, a.attnum, 'select')), false)
  from pg_catalog.pg_attribute a
 where a.attrelid = to_regclass('public.user_sms_preferences') and a.attname = 'timezone'
   and a.attnum > 0 and not a.attisdropped
