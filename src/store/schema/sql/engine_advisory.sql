-- Whether there are advisory locks, of a transaction and of a session.
select pg_try_advisory_xact_lock(-1, 5), pg_try_advisory_lock(-2, 5), pg_advisory_unlock(-2, 5)
