-- The database has become an older one: for each message that it shows as sent, a later attempt may have been
-- sent too, and its record lost. So none of these is retried when it is reported as not delivered. It reads the
-- whole ledger, once for each restore.
-- $1 the stages after which nothing more is reported
update punctual.attempts a
   set recovered = true
 where a.outcome = 'accepted' and not a.recovered and coalesce(a.message_status <> all ($1::text[]), true)
