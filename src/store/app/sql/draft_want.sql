-- Asks for the text of a message, as its maker would; returns whether there is a draft that is open.
-- $1 the message
select punctual.want_texts(array[$1::uuid]) > 0
       or exists (select from punctual.drafts d where d.message_id = $1::uuid and d.outcome is null) as is_open
