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
         select case when b.is_delivered then 'delivered' when b.is_undelivered then 'undelivered' end
           from (select a.message_id as id) m
          cross join lateral generate_series(0, cardinality(kept_texts!(m)) - 1) n (part)
           left join (
             select b.part, bool_or(b.message_status = 'delivered') as is_delivered, bool_and(undelivered!(b)) as is_undelivered
               from punctual.attempts b
              where b.message_id = a.message_id and b.outcome = 'accepted'
              group by b.part) b on b.part = n.part
          order by n.part) end as stages,
       a.number = (select max(b.number) from punctual.attempts b where b.message_id = a.message_id)
         as latest,
       exists (select from public.scheduled_messages m
                where m.id = a.message_id and m.requeued_at > a.claimed_at) as requeued_since
  from punctual.attempts a
 where a.token = any ($1::uuid[])
 order by a.token
   for no key update of a skip locked
