-- What the daemon that started last judges numbers by, and the oldest program that knows the bounds that it keeps: one that
-- knows them not would send what is to wait. And what a text is counted as beside what it costs by the table.
insert into punctual.migrations (version, name, checksum)
values (20261209120001, 'migrations/20261209120001_guard_settings.sql', '')
on conflict (version) do nothing;

alter table punctual.settings add column if not exists guards jsonb;
-- Null: it keeps none.
alter table punctual.settings add column if not exists oldest_program int;

-- Null: as by the table.
alter table punctual.costs add column if not exists counted bigint;
