-- Replies: kept once, and known to the campaigns that they answer (triggers/replies.sql). And what requests cost.
alter table punctual.campaigns add column if not exists stop_on_reply boolean not null default true;

-- That somebody replied, and when. What they said is in the app's messages.
create table if not exists punctual.replies (
  -- The provider's, by which one that is posted again is known.
  id           text primary key,
  our_number   text not null,
  their_number text not null,
  at           timestamptz not null default clock_timestamp()
);
-- For retention.
create index if not exists replies_at_idx on punctual.replies (at);

-- Who replied to which campaign: a claim asks by this key.
create table if not exists punctual.campaign_replies (
  campaign_id  uuid not null references punctual.campaigns on delete cascade,
  their_number text not null,
  first_at     timestamptz not null default clock_timestamp(),
  texts        int not null default 1,
  primary key (campaign_id, their_number)
);

-- What a request cost, where the provider has said so in a look-up.
alter table punctual.attempts
  add column if not exists price numeric,
  add column if not exists price_unit text;

-- A reply that the app's tables refuse is about no message of ours.
alter table punctual.outbox alter column message_id drop not null;

revoke all on punctual.replies, punctual.campaign_replies from PUBLIC;
