-- Removes the pace of a campaign: what waited for it is sent at once, or cancelled if it is too late by now.
-- $1 campaign
delete from punctual.paces p where p.scope = 'campaign' and p.what = $1::text
