-- What the provider is asked, and when next; and what settled an attempt that was in doubt.

alter table punctual.attempts
  -- Answers had since the question came up, the latest one's time and what it told.
  add column if not exists asked       int not null default 0,
  add column if not exists asked_at    timestamptz,
  add column if not exists ask_note    text,
  -- When the provider is asked next; null: it is not.
  add column if not exists next_ask_at timestamptz,
  -- What is looked for while the attempt is in doubt, as it was sent: an edit of the row later
  -- on changes nothing of that. The text by its SHA-256.
  add column if not exists sought_to   text,
  add column if not exists sought_from text,
  add column if not exists sought_text bytea,
  -- Who or what ended the doubt without proof: a policy, or a person. The outcome stays
  -- `unknown`, for that is what is known.
  add column if not exists settled_by  text,
  add column if not exists settled_at  timestamptz;

create index if not exists attempts_next_ask_idx
  on punctual.attempts (outcome, next_ask_at) where next_ask_at is not null;
create index if not exists attempts_sought_idx
  on punctual.attempts (sought_text) where sought_text is not null;
create index if not exists receipts_provider_sid_idx on punctual.receipts (provider_sid);

-- What was in doubt before there was anybody to ask.
update punctual.attempts a
   set next_ask_at = clock_timestamp(), sought_to = btrim(m.to_number),
       sought_from = nullif(btrim(m.from_number), ''),
       sought_text = sha256(convert_to(btrim(m.body, E' \t\r\n'), 'UTF8'))
  from public.scheduled_messages m
 where m.status = 'unconfirmed' and a.message_id = m.id and a.outcome = 'unknown'
   and a.sought_text is null;
