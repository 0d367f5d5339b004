-- Makes the template of reminders, if there is none of that key; whether it did. Null: it cannot.
-- $1 its key  $2 its text
select punctual.planner_template($1, $2)
