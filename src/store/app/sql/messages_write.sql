-- Writes sent messages into the app's `messages` and notes it on their conversations, which
-- are held by now. A callback may have come before: the status is what the attempt has reached.
-- The attempts are held by now too, so that a callback that comes this moment waits and then
-- finds the row: by the record they were just written in, or by attempt_hold.sql.
-- $1 scheduled message  $2 conversation  $3 body  $4 from  $5 to  $6 sid (empty: not known)  $7 sent at
with item as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                       $7::timestamptz[])
             as i (id, conversation_id, body, from_number, to_number, sid, sent_at)
), wrote as (
  insert into public.messages
         (conversation_id, direction, body, from_number, to_number, twilio_sid, status, metadata)
  select conversation_id, 'outbound', body, from_number, to_number, nullif(sid, ''),
         coalesce((select a.message_status from punctual.attempts a
                    where a.provider_sid = item.sid), 'sent'),
         jsonb_build_object('source', 'scheduled', 'scheduled_message_id', id)
    from item
)
update public.conversations c
   set last_message_at = greatest(c.last_message_at, latest.sent_at), updated_at = clock_timestamp()
  from (select conversation_id, max(sent_at) as sent_at from item group by conversation_id) latest
 where c.id = latest.conversation_id
   and (c.last_message_at is null or c.last_message_at < latest.sent_at)
