-- Punctual's own state about people: how many texts a user was sent on a day, what days are, and
-- what the daemon's settings say.

create table if not exists punctual.daily_counts (
  user_id uuid not null,
  -- Of the recipient's calendar.
  day     date not null,
  -- Places taken. What was certainly not sent has given its place back.
  count   int not null,
  -- Of the last claim that wanted places: how many, of how many in all, how many the app's own
  -- count leaves (null: it is not asked), and how many it got.
  wanted   int not null default 0,
  most     int not null default 0,
  app_left int,
  granted  int not null default 0,
  -- Days are forgotten as a whole.
  primary key (day, user_id)
);

-- When each zone's days begin and end, by the daemon's zone data: what is asked here is asked by
-- instant, and the database does no arithmetic with zones. Names are in lower case.
create table if not exists punctual.days (
  zone   text not null,
  starts timestamptz not null,
  ends   timestamptz not null,
  day    date not null,
  primary key (zone, starts)
);

-- What the running daemon was told, for the views that people look at. One row.
create table if not exists punctual.settings (
  one            boolean primary key default true check (one),
  timezone       text not null default 'UTC',
  -- As it was written; null: messages go at any hour.
  business_hours text,
  -- When the week is open: microseconds from Monday 00:00 as the clock shows them.
  open_from      bigint[] not null default '{}',
  open_until     bigint[] not null default '{}',
  updated_at     timestamptz not null default clock_timestamp()
);

-- What `punctual why` tells of a message beside its attempts: what came too late for it.
create table if not exists punctual.notes (
  id         bigint generated always as identity primary key,
  message_id uuid not null,
  at         timestamptz not null default clock_timestamp(),
  note       text not null
);
create index if not exists notes_message_idx on punctual.notes (message_id);

alter table punctual.attempts
  -- The place it took in the user's day, and whether it has given it back.
  add column if not exists user_id   uuid,
  add column if not exists day       date,
  add column if not exists gave_back boolean not null default false,
  -- The text as it was rendered; null: the row's body went as it stands.
  add column if not exists body      text;

-- How often templates were used, until it is added to the app's own counts.
create table if not exists punctual.template_uses (
  id           bigint generated always as identity primary key,
  template_id  uuid not null,
  uses         bigint not null,
  last_used_at timestamptz
);
