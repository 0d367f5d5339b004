-- Other attempts that may have caused a message with this text to this number: those with an uncertain outcome,
-- and those whose request may be in flight. For each of the given attempts, when each of its rivals can have
-- begun at the earliest.
-- $1 attempts  $2 to  $3 the texts' SHA-256
with ask as (
  select * from unnest($1::uuid[], $2::text[], $3::bytea[]) with ordinality
             as a (token, to_number, text, n)
)
select ask.n, coalesce(a.started_at, a.claimed_at) as since
  from ask
  join punctual.attempts a
    on a.lookup_text = any (array[ask.text]) and a.lookup_to = any (array[ask.to_number])
 where a.outcome = 'unknown' and a.token <> ask.token
union all
select ask.n, coalesce(a.started_at, a.claimed_at)
  from punctual.attempts a
  join public.scheduled_messages m on m.id = any (array[a.message_id])
  join ask on ask.to_number = btrim(m.to_number, white!())
 where a.outcome is null and a.token <> ask.token
   -- A template may be rendered to any text.
   and (m.template_vars is not null
        or coalesce(text_key!(a), text_key!(m)) = ask.text)
