select version, name, checksum from punctual.migrations order by version
