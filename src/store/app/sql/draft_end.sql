-- Ends a draft that was not written; its message keeps its own text. Returns how it ended, if it was still this
-- instance's.
-- $1 the message  $2 the token of the taking  $3 how it ended; null: the text could not be put there, by what has
-- become of the message  $4 why  $5 what it cost (jsonb, as put_text)
-- $6 how long before it is due a message is left alone (ms)
update punctual.drafts d
   set outcome = coalesce($3::text, (
         select case when due!(m) <> d.needed_by then 'changed'
                     when due!(m) <= clock_timestamp() + $6::bigint * interval '1 ms' then 'late'
                     when punctual.event_for_text(m.calendar_event_id, m.user_id) is distinct from d.event then 'changed'
                     when exists (select from punctual.missed_event_changes u where u.message_id = m.id) then 'changed'
                     else 'locked' end
           from public.scheduled_messages m
          where m.id = d.message_id and is_pending!(m) and m.version = d.version and m.parts_done = 0), 'changed'),
       reason = $4::text, taken_until = null, finished_at = clock_timestamp(),
       model = $5::jsonb ->> 'llm_model', cost_usd = ($5::jsonb ->> 'generation_cost_usd')::numeric,
       tokens_in = ($5::jsonb ->> 'llm_tokens_in')::int, tokens_out = ($5::jsonb ->> 'llm_tokens_out')::int
 where d.message_id = $1::uuid and d.taken_by = $2::uuid and d.outcome is null
returning d.outcome
