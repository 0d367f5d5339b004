-- Has jobs that were there before their type had a URL followed; how many.
-- $1 how many at most
select punctual.follow_jobs($1::int)
