-- The messages that an id of the app's stands for, and rows of it that have none.
-- $1 id
select m.message_id, m.tab, m.key, m.word, m.reason from punctual.messages_of($1::uuid) m
