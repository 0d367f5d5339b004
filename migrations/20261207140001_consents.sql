-- Who has agreed to what, and who has withdrawn it: when, how, and what they were shown (docs/consent.md). A row is never
-- changed: what follows is another one.
insert into punctual.migrations (version, name, checksum)
values (20261207140001, 'migrations/20261207140001_consents.sql', '')
on conflict (version) do nothing;

create table if not exists punctual.consents (
  id          bigint generated always as identity primary key,
  -- A phone number, `+` and digits, or another address; after `punctual forget` a hash of it.
  recipient   text not null,
  user_id     uuid,
  -- Given, or withdrawn.
  is_given    boolean not null,
  scope       text not null check (scope in ('marketing', 'transactional', 'all')),
  -- Of a reply: to which of our senders.
  our_number  text,
  how         text not null,
  -- The words that the person was shown.
  shown       text,
  at          timestamptz not null,
  recorded_at timestamptz not null default clock_timestamp(),
  role        text not null default session_user,
  actor       text
);
create index if not exists consents_recipient_idx on punctual.consents (recipient, id);

revoke all on punctual.consents from PUBLIC;
