-- Gives a message the text that was written for it (triggers/drafts.sql); returns its version, null if it is not as it
-- was.
-- $1 the message  $2 the token of the taking  $3 the text  $4 what its metadata gets (jsonb)  $5 how long before (ms)
select punctual.put_text($1::uuid, $2::uuid, $3::text, $4::jsonb, $5::bigint) as version
