-- The account through which an attempt goes. Programs of before write none, and read none.
insert into punctual.migrations (version, name, checksum)
values (20261201000001, 'migrations/20261201000001_attempt_account.sql', '')
on conflict (version) do nothing;

alter table punctual.attempts add column if not exists account text;
