-- Who changed a message, for its history: the latest changes, oldest first.
-- Ordered by an expression, so that the index on the message finds them, and not the key on all.
-- $1 message
select h.at, h.op, h.role, h.actor, h.subject, h.application, v.columns, v.old, v.new
  from (select * from punctual.history o where o.message_id = $1::uuid order by o.id + 0 desc limit 200) h
 cross join lateral (
   select coalesce(array_agg(k order by k), '{}') as columns, coalesce(array_agg(h.old ->> k order by k), '{}') as old,
          coalesce(array_agg(h.new ->> k order by k), '{}') as new
     from jsonb_object_keys(h.old) k) v
 order by h.id
