-- Locks the attempts, whose rows are locked by now: a statement of its own, so that it sees what the previous
-- owner of those locks has committed. What is locked is skipped.
-- $1 tokens
select a.token, a.message_id, a.outcome, a.provider_sid, a.message_status, a.recovered,
       -- The text as it was sent, where a template was rendered.
       a.body,
       a.number = (select max(b.number) from punctual.attempts b where b.message_id = a.message_id)
         as latest,
       exists (select from public.scheduled_messages m
                where m.id = a.message_id and m.requeued_at > a.claimed_at) as requeued_since
  from punctual.attempts a
 where a.token in (select unnest($1::uuid[]))
 order by a.token
   for no key update of a skip locked
