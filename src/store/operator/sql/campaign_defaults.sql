-- The hours of campaigns that say no other, as the daemon has recorded them, or the usual ones.
select h.timezone, h.hours from punctual.campaign_hours() h
