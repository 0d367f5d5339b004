-- Writes outcomes of messages to the rows of source tables that they follow; how many. Null: no source is followed.
-- $1 at most
select punctual.write_back($1::int) as written
