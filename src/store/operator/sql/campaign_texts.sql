-- The texts of the requests of a campaign that were accepted, by the messages of a page; of others no text, so that a
-- page ends somewhere.
-- $1 campaign  $2 after this position  $3 at most so many messages
select p.position, sent.body
  from (select c.position, c.message_id from punctual.campaign_messages c
         where c.campaign_id = $1::uuid and c.position > $2::int
         order by c.position
         limit $3::bigint) p
  left join lateral (
    select coalesce(a.body, m.body, '') as body
      from (select a.body from punctual.attempts a
             where a.message_id = p.message_id and a.outcome = 'accepted' offset 0) a
      left join lateral (
        select m.body::text from public.scheduled_messages m where m.id = p.message_id offset 0) m on true) sent on true
 order by p.position
