-- Whether the planner is on; null: it never was.
select (select p.is_on from punctual.planner p) as is_on
