-- The subject of an e-mail, and the title of a message of the app or of a push message. Programs of before do not read it.
insert into punctual.migrations (version, name, checksum)
values (20261130170000, 'migrations/20261130170000_subject.sql', '')
on conflict (version) do nothing;

alter table public.scheduled_messages add column if not exists subject text;
