-- The links of notifications of preset `buildos`, where the table is missing, and the functions that apps
-- call on the tables of the preset.
do $$
begin
  if to_regclass('public.notification_tracking_links') is null then
    create table public.notification_tracking_links (
      id               uuid primary key default gen_random_uuid(),
      short_code       text unique not null,
      delivery_id      uuid not null,
      destination_url  text not null,
      created_at       timestamptz default now(),
      first_clicked_at timestamptz,
      last_clicked_at  timestamptz,
      click_count      int default 0,
      metadata         jsonb default '{}'
    );
    create index notification_tracking_links_delivery_id_idx on public.notification_tracking_links (delivery_id);
  end if;
  call punctual.offer_links();
  call punctual.offer_jobs();
  call punctual.offer_notification_jobs();
end
$$
