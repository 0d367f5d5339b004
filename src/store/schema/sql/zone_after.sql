-- A time zone that was added to the preferences has no default, whatever the migration says: a user who has chosen none
-- has that of the installation (PUNCTUAL_TIMEZONE), also after it is changed.
do $$
begin
  if current_setting('punctual.has_zone') = 'false'
     and exists (select from pg_catalog.pg_attribute a
                  where a.attrelid = to_regclass('public.user_sms_preferences') and a.attname = 'timezone'
                    and not a.attisdropped)
  then
    alter table public.user_sms_preferences alter column timezone drop default;
  end if;
end
$$;
