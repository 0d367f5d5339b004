-- Locks a campaign for an act, so that acts on it follow each other. No row: it is cancelled.
-- $1 id
select c.id from punctual.campaigns c where c.id = $1::uuid and c.state <> 'cancelled' for no key update
