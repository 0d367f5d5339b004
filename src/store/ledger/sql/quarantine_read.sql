select q.due_before, q.unaccounted, q.ended_at is not null as has_ended from punctual.quarantine q
