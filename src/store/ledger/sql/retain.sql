-- One step of a walk through what is long over, which deletes it (punctual.retain, in triggers/retention.sql).
-- $1 the part  $2 where the walk has come to  $3 and $4 how many seconds messages and texts are kept; null: for good
-- $5 rows that are read
select r.next, r.deleted, r.blanked
  from punctual.retain($1::text, $2::text, $3::float8 * interval '1 second', $4::float8 * interval '1 second', $5::int) r
