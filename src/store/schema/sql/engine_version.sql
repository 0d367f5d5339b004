-- What the engine calls itself, without what it was built with.
select split_part(split_part(version(), ' on ', 1), ',', 1)
