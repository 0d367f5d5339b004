-- Locks the attempts, whose rows are locked by now: a statement of its own, so that it sees what the previous
-- owner of those locks has committed. What is locked is skipped.
-- $1 tokens
select a.token, a.message_id, a.outcome, a.provider_sid, a.message_status, a.recovered,
       -- The text as it was sent, where a template was rendered.
       a.body, a.part,
       -- Of a message of several parts: tries at this one that count, whether a later one may have been accepted, and
       -- what was reported of each part.
       case when a.part > 0 or a.texts is not null then (
         select count(*)::int from punctual.attempts b
          where b.message_id = a.message_id and b.part = a.part
            and b.outcome in ('accepted', 'refused', 'unknown')) else 0 end as tries,
       case when a.part > 0 or a.texts is not null then exists (
         select from punctual.attempts b
          where b.message_id = a.message_id and b.part = a.part and b.number > a.number
            and (b.outcome is null or b.outcome in ('accepted', 'unknown'))) else false end as superseded,
       case when a.part > 0 or a.texts is not null then array(
         select case when bool_or(b.message_status = 'delivered') then 'delivered'
                     when bool_and(undelivered!(b)) then 'undelivered' end
           from generate_series(0, (select cardinality(f.texts) - 1 from punctual.attempts f
                                     where f.message_id = a.message_id and f.texts is not null
                                     order by f.number desc limit 1)) n (part)
           left join punctual.attempts b
             on b.message_id = a.message_id and b.part = n.part and b.outcome = 'accepted'
          group by n.part
          order by n.part) end as stages,
       a.number = (select max(b.number) from punctual.attempts b where b.message_id = a.message_id)
         as latest,
       exists (select from public.scheduled_messages m
                where m.id = a.message_id and m.requeued_at > a.claimed_at) as requeued_since
  from punctual.attempts a
 where a.token in (select unnest($1::uuid[]))
 order by a.token
   for no key update of a skip locked
