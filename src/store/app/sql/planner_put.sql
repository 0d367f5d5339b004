-- Inserts the messages of planned reminders.
-- $1 ids  $2 users  $3 events  $4 their starts  $5 numbers  $6 texts  $7 due  $8 zones  $9 variables  $10 the template
insert into public.scheduled_messages (id, user_id, to_number, body, scheduled_at, timezone, message_type, calendar_event_id,
                                       event_start, template_id, template_vars, metadata)
select w.id, w.user_id, w.recipient, w.body, w.due, w.zone, 'event_reminder', w.event, w.starts, $10::uuid, w.vars::jsonb,
       jsonb_build_object('planned', true, 'generated_via', 'template', 'calendar_event_id', w.event)
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
              $9::text[]) as w (id, user_id, event, starts, recipient, body, due, zone, vars)
