-- Whether the journal of this instance proves nothing, though its file says otherwise.
-- $1 instance  $2 whether it does not
update punctual.instances set journal_incomplete = $2::bool where id = $1::uuid
