-- $1 the lock of the migrators. The session's: a pooler by transaction would lose it.
select pg_try_advisory_lock($1)
