-- A reading of the database's clock.
select clock_timestamp() as now
