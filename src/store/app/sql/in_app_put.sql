-- Puts a part of a message into the table of what the app shows, unless it is there, and notifies the app.
-- $1 message, $2 part, $3 user, $4 message type, $5 subject, $6 text
select punctual.put_in_app($1, $2, $3, $4, $5, $6)
