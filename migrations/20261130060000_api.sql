-- What an API for apps needs: the schema of its functions (triggers/rpc.sql), and of which scheduled message a row of
-- `messages` is.

create schema if not exists punctual_api;
revoke all on schema punctual_api from PUBLIC;

-- Without an index, which would cost every sent message, and without a reference: the row of a message may be deleted
-- before this one is written. A table of another shape is left alone.
do $$
begin
  if exists (select from pg_catalog.pg_class c
              where c.oid = to_regclass('public.messages') and c.relkind in ('r', 'p')
                and pg_catalog.pg_has_role(c.relowner, 'usage')
                and (select count(*) = 5 and bool_and(a.attname <> 'scheduled_message_id')
                       from pg_catalog.pg_attribute a
                      where a.attrelid = c.oid and not a.attisdropped
                        and a.attname in ('conversation_id', 'body', 'to_number', 'twilio_sid', 'status',
                                          'scheduled_message_id')))
  then
    alter table public.messages add column scheduled_message_id uuid;
  end if;
end
$$;
