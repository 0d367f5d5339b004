-- The latest changes of pauses or paces, the last first. Who made one is in the row only if it was set with it: an end
-- leaves the name of who paused.
-- $1 kind  $2 the most
select h.at, h.scope, h.what, h.op,
       coalesce(h.actor, h.subject, case when h.old ->> 'at' is distinct from h.new ->> 'at' then h.new ->> 'who' end, h.role) as who,
       h.role, h.application, h.old, h.new
  from punctual.operator_history h
 where h.kind = $1::text
 order by h.id desc
 limit $2::int
