-- Approves or rejects messages of a campaign that were not scheduled. How many, and what they are together.
-- $1 campaign  $2 from these statuses  $3 positions from, and $4 until, and $5 as they were seen  $6 a part of the
-- name, the number or the text (null: any)  $7 status
with decided as (
  update punctual.campaign_messages c
     set status = $7::text
   where decided!(c)
  returning c.position, as_seen!(c) as seen
)
select count(*) as messages, seen_together!() as seen from decided
