-- What the provider reports of a message after it took it.

alter table punctual.attempts
  -- The furthest the provider's message has come, in the provider's word.
  add column if not exists receipt_status text,
  -- The same in the word of the app's messages.status. A row of messages that is written late
  -- takes its status from here.
  add column if not exists message_status text;

-- Every callback that changed or contradicted something. A repeat is neither.
create table if not exists punctual.receipts (
  id           bigint generated always as identity primary key,
  message_id   uuid not null,
  token        uuid not null,
  provider_sid text not null,
  status       text not null,
  error_code   int,
  effect       text not null check (effect in ('advanced', 'contradicted')),
  -- What the row became by it, if it did.
  row_status   text,
  received_at  timestamptz not null default clock_timestamp(),
  unique (token, provider_sid, status)
);
create index if not exists receipts_message_idx on punctual.receipts (message_id);

-- Looked up for every callback; only where the column is there, and no such index.
do $$
declare
  sid int2;
begin
  select attnum into sid
    from pg_catalog.pg_attribute
   where attrelid = 'public.messages'::regclass and attname = 'twilio_sid' and not attisdropped;
  if sid is not null
     and not exists (select from pg_catalog.pg_index
                      where indrelid = 'public.messages'::regclass and indkey[0] = sid)
     and (select count(*) from (select from public.messages limit 100000) few) < 100000
  then
    create index messages_twilio_sid_idx on public.messages (twilio_sid);
  end if;
end
$$;
