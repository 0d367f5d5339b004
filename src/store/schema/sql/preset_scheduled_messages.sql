-- The scheduled texts of preset `campaign`, where the table is missing. The name of its schema takes the place of the
-- one here.
do $$
begin
  if to_regclass('app_schema.scheduled_messages') is not null then
    return;
  end if;
  create table app_schema.scheduled_messages (
    id                  bigint primary key generated always as identity,
    phone_number        text not null,
    customer_name       text,
    message_content     text not null,
    scheduled_for       timestamptz not null,
    status              text not null default 'SCH',
    campaign_message_id bigint,
    campaign_name       text,
    sent_at             timestamptz,
    error_message       text,
    created_at          timestamptz not null default now(),
    updated_at          timestamptz not null default now()
  );
  create index scheduled_messages_status_scheduled_for_idx on app_schema.scheduled_messages (status, scheduled_for);
  create index scheduled_messages_phone_number_idx on app_schema.scheduled_messages (phone_number);
  -- As the migrations do for the tables that they make.
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    alter table app_schema.scheduled_messages enable row level security;
  end if;
end
$$
