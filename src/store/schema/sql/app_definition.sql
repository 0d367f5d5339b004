-- How sent messages are written to the app's tables, where these have names of their own.
select t.definition from punctual.app_tables t
