-- asked ─▶ (the row)
-- Answers somebody who asks for help by a message like any other: at most one a day to each number from each sender, so
-- that two programs do not answer each other for ever.
-- $1 their number  $2 our sender  $3 the text  $4 the account to which they wrote
with asked as (
  insert into punctual.help_answers as h (our_number, their_number) values ($2::text, $1::text)
  on conflict (our_number, their_number) do update set at = excluded.at
    where h.at < clock_timestamp() - interval '1 day'
  returning h.their_number
)
insert into public.scheduled_messages (to_number, from_number, account, body, scheduled_at, message_type)
select a.their_number, $2::text, $4::text, $3::text, clock_timestamp(), 'help_reply' from asked a
