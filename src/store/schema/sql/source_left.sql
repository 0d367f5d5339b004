-- Whether a source has rows that are to be followed and are not.
-- $1 its name
select punctual.source_left($1::text)
