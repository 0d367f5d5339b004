-- How many messages of a campaign a decision is about.
-- $1 to $6 as of campaign_decide.sql
select count(*) from punctual.campaign_messages c where decided!(c)
