-- How many messages that a pause stops have passed their send_before, or the start of their event, counted up to a
-- bound. What another pause stops as well is not cancelled when this one ends, and is not counted.
-- $1 scope  $2 which one  $3 the sender for rows that name none  $4 count at most
select count(*)
  from (select
          from public.scheduled_messages m
         cross join (select $3::text as sender) ours
         where m.status = 'pending'
           and due!(m) < (select clock_timestamp())
           and (m.send_before < clock_timestamp() or m.event_start < clock_timestamp())
           and (exists (select from (values pause_keys!(m)) as key (scope, what)
                         where key.scope = $1::text and key.what = $2::text))
           and not exists (select from (values pause_keys!(m)) as key (scope, what)
                             join punctual.pauses p on p.scope = key.scope and p.what = key.what
                            where (p.scope, p.what) <> ($1::text, $2::text) and p.until > clock_timestamp())
         limit $4) expired
