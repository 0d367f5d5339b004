-- Whether a part of a message is in the table of what the app shows.
-- $1 message, $2 part
select punctual.has_in_app($1, $2)
