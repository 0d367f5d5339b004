-- Follows rows of a source that were there before.
-- $1 its name  $2 from after this key  $3 at most
select f.last_key, f.followed from punctual.source_fill($1::text, $2::text, $3::int) f
