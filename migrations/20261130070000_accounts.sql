-- Accounts: which one sends a message. Programs of before do not read the column, and send everything by their only account.
insert into punctual.migrations (version, name, checksum)
values (20261130070000, 'migrations/20261130070000_accounts.sql', '')
on conflict (version) do nothing;

-- A column of the app's with this name would name accounts that are not configured, and each message would fail. It is
-- the app's if the other column of this file is not there yet.
do $$
begin
  if not exists (select from pg_catalog.pg_attribute a
                  where a.attrelid = 'punctual.settings'::regclass and a.attname = 'account_senders'
                    and not a.attisdropped)
     and exists (select from pg_catalog.pg_attribute a
                  where a.attrelid = 'public.scheduled_messages'::regclass and a.attname = 'account'
                    and not a.attisdropped)
  then
    raise exception using errcode = 'PU001',
      message = 'scheduled_messages has a column account already, and Punctual''s column of that name says which account '
                'sends a message; this file was not applied: keep yours under another name, with alter table '
                'public.scheduled_messages rename column account to app_account';
  end if;
  alter table public.scheduled_messages add column if not exists account text;
  -- Of each account but the default one, the sender of its messages that name none; kept by the running daemon.
  alter table punctual.settings add column if not exists account_senders jsonb;
end
$$;
