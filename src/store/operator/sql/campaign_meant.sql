-- How many messages of a campaign a decision is about, and what they are together.
-- $1 to $6 as of campaign_decide.sql
select count(*) as messages, seen_together!() as seen
  from (select c.position, as_seen!(c) as seen from punctual.campaign_messages c where decided!(c)) c
