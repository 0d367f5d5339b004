-- By age, for `punctual.forget`. A summary of each range of pages: claims are inserted in the order of time, and an
-- index entry a claim would cost more than it is worth.
create index if not exists attempts_claimed_at_brin on punctual.attempts using brin (claimed_at);

-- Messages that missed a change: also an opt-out of their user. Then they have no event here.
alter table punctual.missed_event_changes alter column calendar_event_id drop not null;

-- As which role an instance runs: what other roles write with punctual.writer = 'on' is recorded. Null: of a version
-- that did not say so.
alter table punctual.instances add column if not exists role text;
alter table punctual.instances alter column role set default current_user;
create index if not exists instances_role_idx on punctual.instances (role);

-- Transactions of other roles that wrote scheduled_messages with punctual.writer = 'on', and how many rows.
create table if not exists punctual.foreign_writes (
  xid      bigint not null,
  role     text not null,
  at       timestamptz not null default clock_timestamp(),
  -- The role may not write the ledger, so the guard applied to it.
  guarded  boolean not null,
  inserted bigint not null,
  updated  bigint not null,
  deleted  bigint not null,
  primary key (xid, role)
);
create index if not exists foreign_writes_at_idx on punctual.foreign_writes (at);
