-- By which rules of lawful hours a text was permitted, beside the attempt that sent it. Programs of before write none, and
-- read none.
insert into punctual.migrations (version, name, checksum)
values (20261207140000, 'migrations/20261207140000_lawful_hours.sql', '')
on conflict (version) do nothing;

alter table punctual.attempts add column if not exists lawful text;
