-- The keys of a live subscription to push messages.
-- $1 endpoint, $2 the message's user
select k.p256dh, k.auth from punctual.push_keys($1, $2) k
