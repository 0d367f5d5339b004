-- Attempts that the database had lost, in a restore or with a standby that took over, and that
-- are in the ledger again by their proof. One that the provider's list proved has a token of our
-- own, so callbacks, which carry the lost one, find it by its sid.

alter table punctual.attempts
  add column if not exists regained boolean not null default false;
