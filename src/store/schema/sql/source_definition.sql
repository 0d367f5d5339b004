-- How a source table is followed.
-- $1 its name
select s.definition from punctual.sources s where s.name = $1
