-- Which of these sids are in the app's table, where it has a name of its own: after null, which is there in any case.
-- $1 sids
select s.sid from punctual.mapped_sids($1::text[]) as s (sid)
