-- By age, for `punctual.forget`. A summary of each range of pages: claims are inserted in the order of time, and an
-- index entry a claim would cost more than it is worth.
create index if not exists attempts_claimed_at_brin on punctual.attempts using brin (claimed_at);

-- Messages that missed a change: also an opt-out of their user. Then they have no event here.
alter table punctual.missed_event_changes alter column calendar_event_id drop not null;
