-- Who is notified of which events, of preset `buildos`, where it is missing.
do $$
begin
  if to_regclass('public.notification_subscriptions') is null then
    create table public.notification_subscriptions (
      id         uuid primary key default gen_random_uuid(),
      user_id    uuid not null,
      event_type text not null,
      is_active  boolean default true,
      admin_only boolean default false,
      filters    jsonb,
      created_at timestamptz default now(),
      updated_at timestamptz default now(),
      created_by uuid,
      unique (user_id, event_type)
    );
    create index notification_subscriptions_event_type_idx on public.notification_subscriptions (event_type);
    perform punctual.own_rows('notification_subscriptions', 'user_id', '{is_active,filters}');
  end if;
  if not exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = 'public.notification_subscriptions'::regclass and t.tgname = 'punctual_check_filters')
  then
    create trigger punctual_check_filters
      before insert or update on public.notification_subscriptions for each row
      execute function punctual.check_filters();
    create trigger punctual_default_preferences
      after insert on public.notification_subscriptions for each row
      execute function punctual.default_preferences();
  end if;
end
$$
