-- More of what is known of a message's user: their number, the time zone of the app's own table of users, and whether
-- Punctual has planned the message.
do $$
begin
  if not exists (select from pg_catalog.pg_attribute a
                  where a.attrelid = (select t.typrelid from pg_catalog.pg_type t where t.oid = to_regtype('punctual.facts'))
                    and a.attname = 'is_planned' and not a.attisdropped)
  then
    alter type punctual.facts add attribute phone_number text, add attribute account_timezone text,
                              add attribute is_planned boolean;
  end if;
end
$$;
