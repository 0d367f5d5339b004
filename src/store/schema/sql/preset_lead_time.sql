-- How long before an event its reminder is due, in minutes: a column of the preferences that only preset `buildos` has.
do $$
begin
  if to_regclass('public.user_sms_preferences') is not null
     and not exists (select from pg_catalog.pg_attribute a
                      where a.attrelid = to_regclass('public.user_sms_preferences') and not a.attisdropped
                        and a.attname = 'event_reminder_lead_time_minutes')
  then
    alter table public.user_sms_preferences add column event_reminder_lead_time_minutes int default 15;
  end if;
end
$$
