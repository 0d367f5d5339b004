-- The types of jobs whose rows from before they had a URL are followed: a daemon that starts looks for those of others.
insert into punctual.migrations (version, name, checksum)
values (20261208150001, 'migrations/20261208150001_followed_jobs.sql', '')
on conflict (version) do nothing;

alter table punctual.settings add column if not exists followed_jobs text[] not null default '{}';
