select version, name from punctual.migrations order by version
