-- The URLs of webhooks by message type, for rows that name none (triggers/webhook_urls.sql); kept by the running
-- daemon. Programs of before do not write the column.
insert into punctual.migrations (version, name, checksum)
values (20261130231001, 'migrations/20261130231001_webhook_urls.sql', '')
on conflict (version) do nothing;

alter table punctual.settings add column if not exists webhook_urls jsonb;
