-- What a list shows of messages, in the order of their ids here.
-- $1 ids
select m.id, m.status::text as status, channel!(m) as channel, m.to_number::text as to_number, due!(m) as due,
       m.scheduled_at, m.message_type::text as message_type, m.user_id, m.campaign_id, m.template_id,
       m.attempts, reason!(m) as reason,
       case m.status when 'pending' then coalesce(m.deferred_reason, m.error_message)
                     when 'cancelled' then m.cancel_reason else m.error_message end as detail,
       m.sent_at, m.delivered_at, m.cancelled_at, m.twilio_sid as sid, m.body::text as body
  from unnest($1::uuid[]) with ordinality as named (id, position)
 cross join lateral (select * from public.scheduled_messages o where o.id = named.id) m
 order by named.position
