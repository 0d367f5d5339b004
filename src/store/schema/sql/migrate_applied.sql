-- The migrations that this database has, with the oldest program that each permits.
select version, name, checksum, oldest_program from punctual.migrations order by version
