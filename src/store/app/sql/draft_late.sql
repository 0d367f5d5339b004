-- Ends drafts whose message is due too soon to be written; returns how each ended. Those that an instance writes are
-- its own to end; those that wait for another attempt are not.
-- $1 how soon (ms)  $2 how many
with late as materialized (
  select d.message_id
    from punctual.drafts d
   where d.outcome is null and d.needed_by <= (select clock_timestamp() + $1::bigint * interval '1 ms')
     and (d.taken_by is null or d.taken_until <= clock_timestamp())
   order by d.needed_by
   limit $2::bigint
     for update skip locked)
update punctual.drafts d
   set finished_at = clock_timestamp(), taken_until = null,
       outcome = case when exists (select from public.scheduled_messages m
                                    where m.id = d.message_id and m.version = d.version
                                      and m.status || '' not in ('cancelled', 'failed'))
                      then 'late' else 'changed' end
  from late
 where d.message_id = any (array[late.message_id])
returning d.outcome
