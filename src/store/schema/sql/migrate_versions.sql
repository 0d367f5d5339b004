-- The migrations of a schema that may be of the numbering before the baseline.
select version, name from punctual.migrations order by version
