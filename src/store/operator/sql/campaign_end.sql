-- Nothing more of a campaign is scheduled.
-- $1 id
update punctual.campaigns c set state = 'cancelled' where c.id = $1::uuid and c.state <> 'cancelled'
