-- Tables of the app's with other names, columns and words, each followed by messages (triggers/sources.sql).

-- One row for each table that is followed.
create table if not exists punctual.sources (
  name        text primary key check (name ~ '^[a-z][a-z0-9_]{0,29}$'),
  schema_name text not null,
  table_name  text not null,
  -- As the settings have it.
  definition  jsonb not null,
  -- The words for rows that are to be sent, and those by which a sender of the app's takes one.
  pending     text[] not null,
  claimed     text[] not null,
  -- For each status with an outcome the word that is written.
  words       jsonb not null,
  followed_at timestamptz not null default clock_timestamp(),
  unique (schema_name, table_name)
);

-- Which message follows which row. A row that is not to be sent needs none.
create table if not exists punctual.source_rows (
  source     text not null,
  -- The key of the row, as text.
  key        text not null,
  message_id uuid not null unique,
  -- A key that is used again is a new message.
  generation bigint not null generated always as identity,
  -- The app decides about the row: nothing is written to it.
  taken      boolean not null default false,
  primary key (source, key)
);

-- Messages whose outcome is still to be written to the row that they follow.
create table if not exists punctual.source_writes (
  id              bigint primary key generated always as identity,
  message_id      uuid not null,
  next_attempt_at timestamptz not null default clock_timestamp(),
  attempts        int not null default 0,
  last_error      text,
  created_at      timestamptz not null default clock_timestamp()
);
create index if not exists source_writes_next_attempt_at_idx on punctual.source_writes (next_attempt_at);

do $$
begin
  if to_regtype('punctual.source_row') is null then
    -- A row of such a table, in our terms.
    create type punctual.source_row as (
      key text, word text, due timestamptz, body text, recipient text, sender text, user_id uuid, timezone text,
      message_type text, priority text, calendar_event_id text, event_start timestamptz, send_before timestamptz,
      max_attempts int, subject text, channel text);
  end if;
  if to_regtype('punctual.source_change') is null then
    create type punctual.source_change as (before punctual.source_row, after punctual.source_row);
  end if;
  if to_regtype('punctual.source_ask') is null then
    -- What a change of such a row asks of its message.
    create type punctual.source_ask as (
      act text, key text, message_id uuid, status text, before punctual.source_row, after punctual.source_row);
  end if;
end
$$;
