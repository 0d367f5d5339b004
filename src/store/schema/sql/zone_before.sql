-- Notes for zone_after.sql, in this session, whether the preferences have a time zone before the app's tables get the
-- columns that they lack.
select set_config('punctual.has_zone', (
  exists (select from pg_catalog.pg_attribute a
           where a.attrelid = to_regclass('public.user_sms_preferences') and a.attname = 'timezone'
             and not a.attisdropped))::text, false);
