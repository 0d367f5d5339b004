-- What the model would be given for a message: as its draft has it, else by its event as it is now.
-- $1 the message
select coalesce(d.facts, jsonb_build_object('timezone', coalesce(m.timezone, (f.facts).timezone, s.timezone))
                         || coalesce(punctual.event_for_text(m.calendar_event_id, m.user_id), '{}'))::text as facts,
       due!(m) as due, m.status::text as status, d.outcome, d.reason
  from public.scheduled_messages m
 cross join lateral punctual.facts_of(array[m.id], array[m.id], array[m.user_id], array[m.calendar_event_id]) f
  left join punctual.drafts d on d.message_id = any (array[m.id])
  left join punctual.settings s on s.one
 where m.id = $1::uuid
