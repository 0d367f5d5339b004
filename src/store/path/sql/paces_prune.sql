-- Removes the paces of campaigns that are over: set, and claimed from for the last time, before a moment, and no
-- message is left to be sent. No claim waits for one that another session changes.
-- $1 unused since
delete from punctual.paces p
 using (select o.id from punctual.paces o
         where o.scope = 'campaign' and o.next_at < $1::timestamptz and o.at < $1::timestamptz
           -- The first of each, in the order of its index: as `not exists` it is planned as a join with all messages.
           and (select m.id from public.scheduled_messages m
                 where m.status = 'pending' and m.campaign_id = o.what::uuid
                 order by due!(m), m.id
                 limit 1) is null
         order by o.id for update skip locked) old
 where p.id = any (array[old.id])
