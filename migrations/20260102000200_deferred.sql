-- A claim that the policy defers is given back; the ledger has a word of its own for it.

alter table punctual.attempts drop constraint if exists attempts_outcome_check;
alter table punctual.attempts
  add constraint attempts_outcome_check
  check (outcome in ('accepted', 'refused', 'throttled', 'unsent', 'unknown', 'rejected', 'cancelled',
                     'returned', 'deferred')) not valid;
