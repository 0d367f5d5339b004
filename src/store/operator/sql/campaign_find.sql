-- A campaign, by its name or its id.
-- $1 name  $2 id, if the name is one
select c.id, c.name, c.timezone, c.hours, (extract(epoch from c.gap_min) * 1000000)::bigint as gap_min,
       (extract(epoch from c.gap_max) * 1000000)::bigint as gap_max, c.skip_per_mille,
       (extract(epoch from c.skip_min) * 1000000)::bigint as skip_min,
       (extract(epoch from c.skip_max) * 1000000)::bigint as skip_max, c.from_number, c.stop_on_reply, c.seed, c.first_at, c.created_by,
       c.created_at, punctual.campaign_state(c.id, c.state) as state
  from punctual.campaigns c
 where c.id = coalesce((select i.id from punctual.campaigns i where i.id = $2::uuid),
                        (select n.id from punctual.campaigns n where n.name = $1::text))
