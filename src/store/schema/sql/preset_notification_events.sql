-- The log of events that users are notified of, of preset `buildos`, where it is missing. Its CHECK takes
-- `brain_dump.processed`, which that of the app's own papers refuses.
do $$
declare
  narrow name;
begin
  if to_regclass('public.notification_events') is null then
    create table public.notification_events (
      id             uuid primary key default gen_random_uuid(),
      event_type     text not null check (event_type ~ '^[a-z_]+\.[a-z_]+$'),
      event_source   text not null
                       check (event_source in ('database_trigger', 'worker_job', 'api_action', 'cron_scheduler')),
      actor_user_id  uuid,
      target_user_id uuid,
      payload        jsonb not null default '{}',
      created_at     timestamptz default now(),
      metadata       jsonb
    );
    create index notification_events_event_type_idx on public.notification_events (event_type);
    create index notification_events_target_user_id_idx on public.notification_events (target_user_id);
    create index notification_events_created_at_idx on public.notification_events (created_at);
    perform punctual.own_rows('notification_events', null, '{}');
  end if;
  select k.conname into narrow from pg_catalog.pg_constraint k
   where k.conrelid = 'public.notification_events'::regclass and k.contype = 'c'
     and strpos(pg_get_constraintdef(k.oid), '^[a-z]+\.[a-z_]+$') > 0;
  if narrow is not null then
    execute format('alter table public.notification_events drop constraint %1$I, '
                   'add constraint %1$I check (event_type ~ ''^[a-z_]+\.[a-z_]+$'') not valid', narrow);
  end if;
  if not exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = 'public.notification_events'::regclass and t.tgname = 'punctual_event_is_kept')
  then
    create trigger punctual_event_is_kept
      before update on public.notification_events for each row
      execute function punctual.event_is_kept();
  end if;
end
$$
