-- Campaigns: messages that were suggested, which a person approves, and which are then scheduled by a plan
-- (triggers/campaigns.sql, src/plan/campaign.rs).
create table if not exists punctual.campaigns (
  id             uuid primary key default gen_random_uuid(),
  name           text not null unique check (name = btrim(name) and length(name) between 1 and 200),
  -- When its messages are sent: `hours` as the daemon reads it, and the same in microseconds of local time since Monday
  -- 00:00, for SQL.
  timezone       text not null,
  hours          text not null,
  open_from      bigint[] not null,
  open_until     bigint[] not null,
  gap_min        interval not null check (gap_min > interval '0'),
  gap_max        interval not null,
  -- How many of 1,000 gaps are longer, and by how much.
  skip_per_mille int not null check (skip_per_mille between 0 and 1000),
  skip_min       interval not null check (skip_min >= interval '0'),
  skip_max       interval not null,
  from_number    text,
  -- The plan is a function of it.
  seed           bigint not null,
  first_at       timestamptz,
  state          text not null default 'draft' check (state in ('draft', 'scheduled', 'cancelled')),
  created_by     text not null default session_user,
  created_at     timestamptz not null default clock_timestamp(),
  check (gap_max >= gap_min and gap_max <= interval '1 day'),
  check (skip_max >= skip_min and skip_max <= interval '1 day'),
  check (cardinality(open_from) = cardinality(open_until) and cardinality(open_from) > 0)
);

create index if not exists campaigns_scheduled_idx on punctual.campaigns (id) where state = 'scheduled';
-- For lists.
create index if not exists campaigns_created_at_idx on punctual.campaigns (created_at desc, id);

create table if not exists punctual.campaign_messages (
  id            bigint generated always as identity primary key,
  campaign_id   uuid not null references punctual.campaigns on delete cascade,
  -- From 1.
  position      int not null check (position > 0),
  customer_name text,
  phone_number  text not null,
  content       text not null,
  -- Suggested, approved, rejected, scheduled. What becomes of a scheduled one is in its scheduled message.
  status        text not null default 'SUG' check (status in ('SUG', 'APR', 'REJ', 'SCH')),
  -- Who approved or rejected it.
  decided_by    text,
  decided_at    timestamptz,
  -- Its row of scheduled_messages. Without a reference: the app may delete that.
  message_id    uuid unique,
  unique (campaign_id, position),
  -- Only what somebody approved is ever scheduled; that it was approved, and not rejected, the trigger sees to.
  constraint campaign_messages_decided check (status = 'SUG' or decided_by is not null and decided_at is not null),
  constraint campaign_messages_scheduled check ((status = 'SCH') = (message_id is not null))
);
-- Nobody gets the same text twice.
create unique index if not exists campaign_messages_text_idx
  on punctual.campaign_messages (campaign_id, phone_number, md5(content));
-- For lists, and for what is to be decided or scheduled.
create index if not exists campaign_messages_status_idx on punctual.campaign_messages (campaign_id, status, position);
create index if not exists campaign_messages_number_idx on punctual.campaign_messages (phone_number);

-- Every decision, and by whom.
create table if not exists punctual.campaign_history (
  id          bigint generated always as identity primary key,
  campaign_id uuid not null references punctual.campaigns on delete cascade,
  position    int not null,
  at          timestamptz not null default clock_timestamp(),
  status      text not null,
  was         text not null,
  -- Who says it is, and the role of the session, which nobody can invent.
  who         text,
  role        text not null
);
create index if not exists campaign_history_idx on punctual.campaign_history (campaign_id, position);

revoke all on punctual.campaigns, punctual.campaign_messages, punctual.campaign_history from PUBLIC;
