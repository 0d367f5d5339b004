-- For one transaction: its changes are those of a user, by the rules for a user's, and not the daemon's own. And who
-- makes them.
-- $1 who
select set_config('punctual.writer', 'off', true), set_config('punctual.actor', $1::text, true)
