-- How each user wants to be notified of each type of event, of preset `buildos`, where it is missing.
do $$
begin
  if to_regclass('public.user_notification_preferences') is null then
    create table public.user_notification_preferences (
      id                     uuid primary key default gen_random_uuid(),
      user_id                uuid not null,
      event_type             text not null,
      push_enabled           boolean default true,
      email_enabled          boolean default true,
      sms_enabled            boolean default false,
      in_app_enabled         boolean default true,
      priority               text default 'normal' check (priority in ('urgent', 'normal', 'low')),
      batch_enabled          boolean default false,
      batch_interval_minutes int,
      quiet_hours_enabled    boolean default false,
      quiet_hours_start      time default '22:00:00',
      quiet_hours_end        time default '08:00:00',
      timezone               text default 'UTC',
      max_per_day            int,
      max_per_hour           int,
      created_at             timestamptz default now(),
      updated_at             timestamptz default now(),
      unique (user_id, event_type)
    );
    perform punctual.own_rows('user_notification_preferences', 'user_id', '{push_enabled,email_enabled,sms_enabled,in_app_enabled,priority,batch_enabled,batch_interval_minutes,
      quiet_hours_enabled,quiet_hours_start,quiet_hours_end,timezone,max_per_day,max_per_hour,updated_at}');
  end if;
  if not exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = 'public.user_notification_preferences'::regclass
                    and t.tgname = 'punctual_check_preferences')
  then
    create trigger punctual_check_preferences
      before insert or update on public.user_notification_preferences for each row
      execute function punctual.check_notification_preferences();
  end if;
end
$$
