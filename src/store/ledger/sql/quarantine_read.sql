-- The quarantine: what is in it, which instances are unaccounted for, and whether it has ended.
select q.due_before, q.unaccounted, q.ended_at is not null as has_ended from punctual.quarantine q
