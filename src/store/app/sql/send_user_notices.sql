-- Notifies users of what has become of their messages; how many. Null: that is not wanted.
-- $1 at most
select punctual.send_user_notices($1::int) as sent
