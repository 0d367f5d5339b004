-- What a claim must know beyond its message.

-- Pauses. One row for each that has ever been made for the same thing: it is in force until `until`. One that has
-- ended stays for a while, because the lateness of what it stopped counts from its end.
create table if not exists punctual.pauses (
  scope text not null check (scope in ('everything', 'lane', 'sender', 'campaign', 'user', 'message_type')),
  -- Which one: the lane's channel, the sender, the campaign's id, the user's id, the type; empty for everything.
  what  text not null default '',
  until timestamptz not null default 'infinity',
  why   text,
  who   text not null default session_user,
  at    timestamptz not null default clock_timestamp(),
  primary key (scope, what),
  check ((what = '') = (scope = 'everything'))
);
create index if not exists pauses_until_idx on punctual.pauses (until);
