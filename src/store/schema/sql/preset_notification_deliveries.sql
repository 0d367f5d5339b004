-- What is sent of an event, to whom and by which channel, of preset `buildos`: the table, where it is missing, and
-- else the columns that it lacks. Its CHECK has `cancelled`, which that of the app's own papers lacks.
do $$
declare
  lacks text;
  narrow name;
begin
  if to_regclass('public.notification_deliveries') is null then
    create table public.notification_deliveries (
      id                 uuid primary key default gen_random_uuid(),
      event_id           uuid,
      subscription_id    uuid,
      recipient_user_id  uuid not null,
      channel            text not null check (channel in ('push', 'email', 'sms', 'in_app')),
      channel_identifier text,
      status             text not null default 'pending'
                           check (status in ('pending', 'sent', 'delivered', 'failed', 'bounced', 'opened', 'clicked',
                                             'cancelled')),
      payload            jsonb not null default '{}',
      sent_at            timestamptz,
      delivered_at       timestamptz,
      opened_at          timestamptz,
      clicked_at         timestamptz,
      failed_at          timestamptz,
      attempts           int default 0,
      max_attempts       int default 3,
      last_error         text,
      external_id        text,
      tracking_id        text,
      created_at         timestamptz default now(),
      updated_at         timestamptz default now()
    );
    create index notification_deliveries_event_id_idx on public.notification_deliveries (event_id);
    create index notification_deliveries_recipient_user_id_idx on public.notification_deliveries (recipient_user_id);
    create index notification_deliveries_status_idx on public.notification_deliveries (status);
    create index notification_deliveries_channel_idx on public.notification_deliveries (channel);
    create index notification_deliveries_created_at_idx on public.notification_deliveries (created_at);
    perform punctual.own_rows('notification_deliveries', 'recipient_user_id', '{}');
  end if;
  select string_agg(format('add column %I %s', w.name, w.type), ', ' order by w.n) into lacks
    from (values (1, 'event_type', 'text'), (2, 'scheduled_for', 'timestamptz'), (3, 'subject', 'text'), (4, 'body', 'text'),
                 (5, 'priority', 'text'), (6, 'error_code', 'int'), (7, 'cancel_reason', 'text'),
                 (8, 'cancelled_at', 'timestamptz'), (9, 'batched', 'int'), (10, 'batch_from', 'timestamptz'))
           as w (n, name, type)
   where not exists (select from pg_catalog.pg_attribute a
                      where a.attrelid = 'public.notification_deliveries'::regclass and a.attname = w.name
                        and not a.attisdropped);
  if lacks is not null then
    execute 'alter table public.notification_deliveries ' || lacks;
  end if;
  create index if not exists notification_deliveries_counted_idx
    on public.notification_deliveries (recipient_user_id, event_type, channel, scheduled_for)
    where event_type is not null and status <> 'cancelled';
  select k.conname into narrow from pg_catalog.pg_constraint k
   where k.conrelid = 'public.notification_deliveries'::regclass and k.contype = 'c'
     and pg_get_constraintdef(k.oid) like '%bounced%' and pg_get_constraintdef(k.oid) not like '%cancelled%';
  if narrow is not null then
    execute format('alter table public.notification_deliveries drop constraint %1$I, add constraint %1$I '
                   'check (status in (''pending'', ''sent'', ''delivered'', ''failed'', ''bounced'', ''opened'', ''clicked'', '
                   '''cancelled'')) not valid', narrow);
  end if;
  if not exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = 'public.notification_deliveries'::regclass and t.tgname = 'punctual_delivery_progress')
  then
    create trigger punctual_delivery_progress
      before update on public.notification_deliveries for each row
      execute function punctual.delivery_changed();
  end if;
  perform punctual.offer_notifications();
end
$$
