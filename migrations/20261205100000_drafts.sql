-- Texts that a language model writes in place of a message's own (triggers/drafts.sql, docs/writer.md).

-- The model of the daemons that write texts; null: none does.
alter table punctual.settings add column if not exists llm_model text;

-- A message that is to have another text, at most one draft each.
create table if not exists punctual.drafts (
  message_id  uuid primary key,
  -- Of the message as it was when the text was asked for; of a draft that is written, of the message with that text.
  version     bigint not null,
  kind        text not null default 'reminder' check (kind in ('reminder')),
  -- What the model is given: title, starts_at, ends_at, link, location, timezone.
  facts       jsonb not null,
  -- The calendar event as it was then; null: there was none.
  event       jsonb,
  -- The template_vars of the message, which a text takes the place of.
  vars        jsonb,
  -- When the message was due then.
  needed_by   timestamptz not null,
  asked_at    timestamptz not null default clock_timestamp(),
  attempts    int not null default 0,
  -- An instance writes it until then; after a failure, when the next attempt may be made.
  taken_until timestamptz,
  taken_by    uuid,
  outcome     text check (outcome in ('written', 'refused', 'failed', 'timed_out', 'over_budget', 'late', 'locked',
                                      'changed', 'unusable')),
  reason      text,
  model       text,
  cost_usd    numeric,
  tokens_in   int,
  tokens_out  int,
  finished_at timestamptz
);
create index if not exists drafts_open_idx on punctual.drafts (needed_by) where outcome is null;
create index if not exists drafts_taken_idx on punctual.drafts (taken_until)
  where outcome is null and taken_until is not null;
-- For retention.
create index if not exists drafts_needed_by_idx on punctual.drafts (needed_by);

-- What was spent on a day of UTC, and what calls in progress may cost at most.
create table if not exists punctual.draft_days (
  day          date primary key,
  reserved_usd numeric not null default 0,
  spent_usd    numeric not null default 0,
  calls        bigint not null default 0
);

revoke all on punctual.drafts, punctual.draft_days from PUBLIC;
