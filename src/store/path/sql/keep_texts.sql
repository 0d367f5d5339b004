-- ask ─▶ free ─▶ ledger
-- Keeps the texts of all parts of messages whose first part is about to be sent: whatever happens to this instance, or
-- comes to the template and the settings, what is left is parts of the same text, and whoever learns of an acceptance
-- knows whether it was the last. A locked row is skipped and missing in the result; its claim is released.
-- $1 ids  $2 tokens, of the first parts: one for each text  $3 the texts, in their order
with ask as materialized (
  select t.id, t.token, array_agg(t.text order by t.n) as texts
    from unnest($1::uuid[], $2::uuid[], $3::text[]) with ordinality as t (id, token, text, n)
   group by t.id, t.token
   order by t.id
), free as materialized (
  select ask.*
    from ask
   cross join lateral (
     select from public.scheduled_messages m
      where m.id = ask.id and is_sending!(m) and m.parts_done = 0
        for no key update skip locked) m
), ledger as (
  update punctual.attempts a
     set texts = free.texts, body = free.texts[1]
    from free
   where a.token = any (array[free.token]) and a.message_id = any (array[free.id]) and is_open!(a)
  returning a.message_id, a.token, cardinality(free.texts) as parts
)
update public.scheduled_messages m
   set parts_total = ledger.parts
  from ledger
 where m.id = any (array[ledger.message_id])
returning ledger.token
