-- Removes pauses that are long over. No claim waits for one that another session changes.
-- $1 ended before this
delete from punctual.pauses p
 using (select o.scope, o.what from punctual.pauses o where o.until < $1::timestamptz
         order by o.scope, o.what for update skip locked) old
 where p.scope = old.scope and p.what = old.what and p.until < $1::timestamptz
