-- Removes a pace: what waited for it is sent at once, or cancelled if it is too late by now.
-- $1 kind  $2 which one
delete from punctual.paces p where p.scope = $1::text and p.what = $2::text
