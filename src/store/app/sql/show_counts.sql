-- Adds what users were sent to the app's own counts of their day, if that is wanted (triggers/shown_counts.sql).
-- $1 the most at once
select punctual.show_counts($1::int) as shown
