-- Removes the pace of a campaign: what waited for it is sent when it is due.
-- $1 campaign
delete from punctual.paces p where p.scope = 'campaign' and p.what = $1::text
