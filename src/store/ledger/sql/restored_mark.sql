-- The database has become an older one: after each attempt that may have been accepted, a later one may have been too,
-- and its record lost. So none of these is retried when it is reported as not delivered, and the next part of its
-- message keeps the time of the message, so that it is in quarantine. It reads the whole ledger, once for each restore.
-- $1 the stages after which nothing more is reported
update punctual.attempts a
   set recovered = true
 where (a.outcome is null or a.outcome in ('accepted', 'unknown')) and not a.recovered
   and coalesce(a.message_status <> all ($1::text[]), true)
