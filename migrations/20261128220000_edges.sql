-- Replies that set or lifted an opt-out, by the provider's names for them. Kept for good, for a signature has no time
-- in it: a reply that is posted again years later is known by its name alone.
create table if not exists punctual.opt_replies (
  id          text primary key,
  command     text not null check (command in ('stop', 'start')),
  received_at timestamptz not null default clock_timestamp()
);
