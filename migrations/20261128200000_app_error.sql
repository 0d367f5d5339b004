-- What the app's tables said when they refused a write: its own words, which may hold numbers and texts, for a person
-- who asks of the message. `last_error` has the code and the names alone.
alter table punctual.outbox add column if not exists app_error text;
