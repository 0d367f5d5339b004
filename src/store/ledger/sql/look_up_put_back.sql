-- ask ─▶ ledger ─▶ moved
-- unconfirmed -> pending, by a policy or a provider that permits it, for rows that look_up_put_back_rows.sql has
-- locked: only by the attempt that left the row unconfirmed, which stays uncertain. Other instances are notified,
-- unless the queue of notifications is nearly full; then the sweeps find it.
-- A message that names no account keeps to the one whose answer is uncertain: no other sends what that may have sent.
-- $1 messages  $2 tokens  $3 what permits it  $4 sentences  $5 whether such messages may go by several accounts
with ask as (
  select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) as a (id, token, permit, sentence)
), ledger as (
  update punctual.attempts a
     set settled_by = ask.permit, settled_at = clock_timestamp()
    from ask
   where a.token = any (array[ask.token]) and a.message_id = any (array[ask.id]) and a.outcome = 'unknown'
     and a.settled_by is null
     and a.number = (select max(b.number) from punctual.attempts b where b.message_id = ask.id)
  returning a.message_id, ask.sentence, a.account
), moved as (
  update public.scheduled_messages m
     set status = 'pending', next_attempt_at = case when m.parts_done > 0 then m.next_attempt_at end,
         account = case when $5::bool and not names_account!(m) then ledger.account else m.account end,
         error_message = ledger.sentence,
         updated_at = clock_timestamp()
    from ledger
   where m.id = any (array[ledger.message_id]) and is_unconfirmed!(m)
  returning m.id
)
select id,
       case when may_notify!() then pg_notify('punctual', 'ids ' || id)::text end
  from moved
