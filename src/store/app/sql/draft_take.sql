-- Takes drafts for an instance, those first that are needed first: nobody else takes them until the lease is over.
-- Those whose message is not as it was when the text was asked for are taken too, to be ended.
-- $1 how many  $2 the token of this taking  $3 the lease (ms)  $4 how long before its due time at least (ms)
with mine as materialized (
  select d.message_id
    from punctual.drafts d
   where d.outcome is null and d.needed_by > (select clock_timestamp() + $4::bigint * interval '1 ms')
     and (d.taken_until is null or d.taken_until <= clock_timestamp())
   order by d.needed_by, d.message_id
   limit $1::bigint
     for update skip locked)
update punctual.drafts d
   set taken_until = clock_timestamp() + $3::bigint * interval '1 ms', taken_by = $2::uuid, attempts = d.attempts + 1
  from mine
 where d.message_id = any (array[mine.message_id])
returning d.message_id, d.facts::text as facts, d.needed_by, d.attempts,
          exists (select from public.scheduled_messages m
                   where m.id = d.message_id and is_pending!(m) and m.version = d.version and m.parts_done = 0) as is_current
