-- Limits how long the statements of this transaction wait for locks.
-- $1 how long a statement waits for a lock
select set_config('lock_timeout', $1, true)
