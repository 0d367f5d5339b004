-- Has jobs that were there before their type had a URL followed: the key of the last one, and how many.
-- $1 past this key; null: from the first  $2 how many at most
select f.last_key, f.followed from punctual.follow_jobs($1::text, $2::int) f
