-- The files of triggers/ that this database has, and the program that applied each.
select name, checksum, program from punctual.triggers
