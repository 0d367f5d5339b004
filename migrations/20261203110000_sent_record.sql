-- What has become of a sent message, in the app's own table: when it was delivered, the provider's own word and code,
-- and how many attempts it took. A table of another shape is left alone.
do $$
declare
  lacks text;
begin
  if exists (select from pg_catalog.pg_class c
              where c.oid = to_regclass('public.messages') and c.relkind in ('r', 'p')
                and pg_catalog.pg_has_role(c.relowner, 'usage')
                and (select count(*) = 5 from pg_catalog.pg_attribute a
                      where a.attrelid = c.oid and not a.attisdropped
                        and a.attname in ('conversation_id', 'body', 'to_number', 'twilio_sid', 'status')))
  then
    select string_agg(format('add column %I %s', w.col, w.type), ', ') into lacks
      from (values ('delivered_at', 'timestamptz'), ('twilio_status', 'text'), ('twilio_error_code', 'int'),
                   ('attempt_count', 'int')) as w (col, type)
     where not exists (select from pg_catalog.pg_attribute a
                        where a.attrelid = to_regclass('public.messages') and a.attname = w.col and not a.attisdropped);
    if lacks is not null then
      execute 'alter table public.messages ' || lacks;
    end if;
  end if;
end
$$;
