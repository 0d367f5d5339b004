-- Whether this schema has a planner: a test may have other files.
select to_regclass('punctual.planner') is not null
