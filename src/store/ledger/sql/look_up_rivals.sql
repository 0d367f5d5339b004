-- Other attempts that a message of the provider's with this text, to this number, may be of:
-- those in doubt, and those whose request may be on its way this moment. When each can have
-- begun at the earliest.
-- $1 the attempt  $2 to  $3 the text's SHA-256
select coalesce(a.started_at, a.claimed_at) as since
  from punctual.attempts a
 where a.lookup_text = $3::bytea and a.lookup_to = $2::text and a.outcome = 'unknown'
   and a.token <> $1::uuid
union all
select coalesce(a.started_at, a.claimed_at)
  from punctual.attempts a
  join public.scheduled_messages m on m.id = a.message_id
 where a.outcome is null and a.token <> $1::uuid and btrim(m.to_number) = $2::text
   -- What a template is rendered to may be anything.
   and (m.template_vars is not null
        or text_key!(m) = $3::bytea)
