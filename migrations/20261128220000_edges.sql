-- Replies that set or lifted an opt-out, by the provider's names for them. Kept for good, for a signature has no time
-- in it: a reply that is posted again years later is known by its name alone.
create table if not exists punctual.opt_replies (
  id          text primary key,
  command     text not null check (command in ('stop', 'start')),
  received_at timestamptz not null default clock_timestamp()
);

-- What is done about a row of the app's that cannot be sent as it is written: `warn` accepts it and warns, `refuse`
-- refuses it. The daemon writes it here (PUNCTUAL_VALIDATE), and the check of the app's inserts reads it.
alter table punctual.settings add column if not exists validate text not null default 'warn';
