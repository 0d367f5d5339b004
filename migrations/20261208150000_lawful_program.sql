-- Whether the daemon that started last keeps lawful hours: a program that knows none claims nothing then.
insert into punctual.migrations (version, name, checksum)
values (20261208150000, 'migrations/20261208150000_lawful_program.sql', '')
on conflict (version) do nothing;

alter table punctual.settings add column if not exists lawful_hours boolean not null default false;
