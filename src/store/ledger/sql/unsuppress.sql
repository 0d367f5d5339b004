-- reply ─▶ lifted
-- The recipient wants messages from these senders again; returns whether the reply is new. What was cancelled stays
-- cancelled.
-- $1 our senders  $2 their number  $3 the reply that requests it; a known one changes nothing
with reply as (
  insert into punctual.opt_replies (id, command) values ($3::text, 'start')
  on conflict do nothing
  returning id
), lifted as (
  delete from punctual.suppressions s
   using (select $2::text as their_number) r
   where s.their_number = any (array[r.their_number, forgotten_number!(r)])
     and s.our_number = any ($1::text[]) and exists (select from reply)
)
select exists (select from reply) as is_new
