-- pending -> cancelled, for rows that expire_candidates.sql has locked.
-- $1 messages  $2 their reasons
update public.scheduled_messages m
   set status = 'cancelled', cancelled_at = clock_timestamp(), updated_at = clock_timestamp(),
       cancel_reason = late.reason
  from unnest($1::uuid[], $2::text[]) as late (id, reason)
 where m.id = any (array[late.id]) and is_pending!(m)
returning m.id
