-- How an instance learns of changes. Null: by notifications, as programs do that do not say.
insert into punctual.migrations (version, name, checksum)
values (20261208140000, 'migrations/20261208140000_changes.sql', '')
on conflict (version) do nothing;

alter table punctual.instances add column if not exists changes text;
