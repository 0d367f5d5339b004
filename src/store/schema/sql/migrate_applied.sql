select version, name, checksum, oldest_program from punctual.migrations order by version
