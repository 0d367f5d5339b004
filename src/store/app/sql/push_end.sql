-- Ends a subscription to push messages.
-- $1 endpoint, $2 why
select punctual.end_push($1, $2)
