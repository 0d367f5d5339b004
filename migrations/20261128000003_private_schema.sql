-- Punctual's own state. No foreign key leads from here to the app's tables: a row the app
-- deletes must not take the proof of what was sent along.

-- Of the numbering before this file: its columns have other names, and only `punctual migrate`,
-- which knows them, can take such a schema over.
do $$
begin
  if exists (select from pg_catalog.pg_attribute a
               join pg_catalog.pg_class c on c.oid = a.attrelid
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace
              where n.nspname = 'punctual' and c.relname = 'attempts' and a.attname = 'outcome')
     and not exists (select from pg_catalog.pg_attribute a
                       join pg_catalog.pg_class c on c.oid = a.attrelid
                       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                      where n.nspname = 'punctual' and c.relname = 'attempts' and a.attname = 'recovered')
  then
    raise exception using errcode = 'PU001',
      message = 'this database has the schema of an earlier Punctual, and nothing of it was changed: '
                'run `punctual migrate` first, which takes it over';
  end if;
end
$$;

create schema if not exists punctual;
revoke all on schema punctual from public;

-- What was applied by `punctual migrate`. The Supabase CLI keeps its own record.
create table if not exists punctual.migrations (
  version        bigint primary key,
  name           text not null,
  -- Of the file; empty: it was applied by other hands, and is applied again.
  checksum       text not null,
  applied_at     timestamptz not null default clock_timestamp(),
  -- The number of the oldest program that may run on the schema as this file leaves it.
  oldest_program int not null default 0
);
create table if not exists punctual.triggers (
  name       text primary key,
  checksum   text not null,
  applied_at timestamptz not null default clock_timestamp(),
  -- The number of the program that brought it: to an older one it is not out of date.
  program    int not null default 0
);
-- By whatever hands this file is applied: programs of the earlier numbering do not know this
-- version, and refuse the schema. A later file that shuts out more of them has a row like this.
insert into punctual.migrations (version, name, checksum, oldest_program)
values (20261128000003, 'migrations/20261128000003_private_schema.sql', '', 1)
on conflict (version) do nothing;

-- Who is running. An instance that stops beating is dead; its claims outlive it.
create table if not exists punctual.instances (
  id           uuid primary key,
  started_at   timestamptz not null default clock_timestamp(),
  heartbeat_at timestamptz not null default clock_timestamp(),
  stopped_at   timestamptz,
  version      text not null
);

-- The ledger: one row an attempt, written in the transaction of the claim, completed with the
-- outcome. An attempt without an outcome is in flight; the outcome of one that is `unknown` is
-- uncertain.
create table if not exists punctual.attempts (
  token          uuid primary key,
  message_id     uuid not null,
  number         int not null,
  part           smallint not null default 0,
  instance       uuid not null,
  claimed_at     timestamptz not null default clock_timestamp(),
  lease_until    timestamptz not null,
  started_at     timestamptz,
  finished_at    timestamptz,
  outcome        text check (outcome in ('accepted', 'refused', 'throttled', 'unsent', 'unknown', 'rejected',
                                         'cancelled', 'returned', 'deferred')),
  provider_sid   text,
  code           int,
  category       text,
  error          text,
  -- The furthest the provider's message has come, in the provider's word.
  receipt_status text,
  -- The same in the word of the app's messages.status. A row of messages that is written late
  -- takes its status from here.
  message_status text,
  -- Look-ups at the provider that were answered since one was needed, when the latest was and what
  -- it showed.
  lookups        int not null default 0,
  looked_up_at   timestamptz,
  lookup_note    text,
  -- When the provider is asked next; null: it is not.
  next_lookup_at timestamptz,
  -- What is looked for while the outcome is uncertain, as it was sent: an edit of the row later on
  -- changes nothing of that. The text by its SHA-256.
  lookup_to      text,
  lookup_from    text,
  lookup_text    bytea,
  -- Who or what settled the attempt without proof: a policy, or a person. The outcome stays
  -- `unknown`, for that is what is known.
  settled_by     text,
  settled_at     timestamptz,
  -- Whose quota of which day it used, and whether that was returned.
  user_id        uuid,
  day            date,
  quota_returned boolean not null default false,
  -- The text as it was rendered; null: the row's body went as it stands.
  body           text,
  -- The database had lost it, in a restore or with a standby that took over, and its proof entered
  -- it again. One that the provider's list proved has a token of our own, so callbacks, which carry
  -- the lost one, find it by its sid.
  recovered      boolean not null default false,
  unique (message_id, number, part)
);

-- Every callback that changed or contradicted something. A repeat is neither.
create table if not exists punctual.receipts (
  id           bigint generated always as identity primary key,
  message_id   uuid not null,
  token        uuid not null,
  provider_sid text not null,
  status       text not null,
  error_code   int,
  effect       text not null check (effect in ('advanced', 'contradicted')),
  -- What the row became by it, if it did.
  row_status   text,
  received_at  timestamptz not null default clock_timestamp(),
  unique (token, provider_sid, status)
);

-- Writes into the app's tables that the app refused: the outcome stands, these are retried.
create table if not exists punctual.outbox (
  id              bigint generated always as identity primary key,
  message_id      uuid not null,
  write           jsonb not null,
  attempts        int not null default 0,
  next_attempt_at timestamptz not null default clock_timestamp(),
  last_error      text not null,
  created_at      timestamptz not null default clock_timestamp()
);

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

-- How many messages a user was sent on a day.
create table if not exists punctual.daily_counts (
  user_id  uuid not null,
  -- Of the recipient's calendar.
  day      date not null,
  -- Quota used. What was certainly not sent has returned it.
  count    int not null,
  -- Of the last claim that wanted quota: how much, of how much in all, how much the app's own count
  -- leaves (null: it is not asked), and how much it got.
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

-- The settings of the running daemon, for the views that people look at. One row.
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

-- What `punctual why` shows of a message beside its attempts: what came too late for it.
create table if not exists punctual.notes (
  id         bigint generated always as identity primary key,
  message_id uuid not null,
  at         timestamptz not null default clock_timestamp(),
  note       text not null
);

-- How often templates were used, until it is added to the app's own counts.
create table if not exists punctual.template_uses (
  id           bigint generated always as identity primary key,
  template_id  uuid not null,
  uses         bigint not null,
  last_used_at timestamptz
);

-- Events that were deleted while a message of theirs could not be cancelled, because it was being
-- sent or another transaction held it: should it be claimed again, the claim knows.
create table if not exists punctual.deleted_events (
  calendar_event_id text not null,
  user_id           uuid not null,
  deleted_at        timestamptz not null default clock_timestamp(),
  primary key (calendar_event_id, user_id)
);

-- Messages that missed a change of their calendar event: another transaction held them, or they were
-- being sent. The daemon applies it once they are free and pending. A message may miss another while
-- an earlier one is applied: then the app's transaction adds to the list, and waits for nobody to do
-- so. So a message may be in it more than once.
create table if not exists punctual.missed_event_changes (
  id                bigint generated always as identity primary key,
  message_id        uuid not null,
  calendar_event_id text not null,
  user_id           uuid not null,
  -- When the event began before the first change that was missed; null: that is not known.
  start_before      timestamptz,
  noted_at          timestamptz not null default clock_timestamp(),
  -- When the app's table last refused the change.
  refused_at        timestamptz
);

-- What is known of one message's user and event. Times of day are microseconds since midnight.
do $$
begin
  if to_regtype('punctual.facts') is null then
    create type punctual.facts as (
      has_preferences boolean, phone_verified boolean, opted_out boolean,
      -- The kinds of message that are switched off.
      off text[],
      quiet_start bigint, quiet_end bigint, timezone text,
      daily_limit int, app_count int, app_reset_at timestamptz,
      event_is_there boolean, event_is_cancelled boolean, event_start timestamptz);
  end if;
end
$$;
