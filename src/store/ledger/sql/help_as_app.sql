-- Within a transaction: the answer is seen like a message of the app's own, and its history names what has made it.
select set_config('punctual.writer', '', true), set_config('punctual.actor', 'the answer to HELP', true)
