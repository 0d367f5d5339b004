-- What instances have cleared from quarantine is read in the order in which they did.
create index if not exists quarantine_cleared_at_idx on punctual.quarantine_cleared (cleared_at, message_id);

-- The journal of this instance can be neither written nor marked as incomplete: it proves nothing any more. Null: no.
alter table punctual.instances add column if not exists journal_incomplete boolean;
