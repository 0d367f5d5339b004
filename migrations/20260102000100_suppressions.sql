-- Who does not want to hear from which of our senders.

create table if not exists punctual.suppressions (
  id           bigint generated always as identity primary key,
  -- One of our senders as the provider knows it: a number, a short code, a messaging service.
  -- Null: all of them.
  our_number   text,
  their_number text not null,
  reason       text not null,
  created_at   timestamptz not null default clock_timestamp()
);
create unique index if not exists suppressions_pair_key
  on punctual.suppressions (their_number, (coalesce(our_number, '')));
