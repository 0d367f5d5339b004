-- Within a transaction: its messages are seen like the app's own, and its history names it.
select set_config('punctual.writer', '', true), set_config('punctual.actor', 'the planner', true)
