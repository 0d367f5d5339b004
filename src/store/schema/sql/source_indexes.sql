-- The indexes by which records of source tables are found that are missing, and the statements for them.
select i.name, i.is_left, i.build, i.removal from punctual.record_indexes() i
