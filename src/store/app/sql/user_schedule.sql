-- As a person schedules a message.
-- $1 to  $2 from  $3 body  $4 scheduled at  $5 user  $6 zone  $7 send before  $8 priority
-- $9 dedup key  $10 type  $11 template  $12 its variables  $13 channel  $14 media  $15 subject
insert into public.scheduled_messages
       (to_number, from_number, body, scheduled_at, user_id, timezone, send_before, priority,
        dedup_key, message_type, template_id, template_vars, channel, media_urls, subject)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::jsonb, $13, nullif($14::text[], '{}'), $15)
returning id
