-- Pictures and files of a message, by their URLs. Programs of before do not read the column: they are refused a message
-- that has some (triggers/attempts.sql).
insert into punctual.migrations (version, name, checksum)
values (20261130230000, 'migrations/20261130230000_media_urls.sql', '')
on conflict (version) do nothing;

-- A column of the app's with this name and another type is left alone, and this file is not applied.
do $$
declare
  theirs text;
begin
  select format_type(a.atttypid, null) into theirs
    from pg_catalog.pg_attribute a
   where a.attrelid = 'public.scheduled_messages'::regclass and a.attname = 'media_urls' and not a.attisdropped;
  if theirs <> 'text[]' then
    raise exception using errcode = 'PU001',
      message = format('scheduled_messages has a column media_urls of type %s already, and Punctual''s is text[]; this file '
                       'was not applied: change its type, or keep yours under another name', theirs);
  end if;
  alter table public.scheduled_messages add column if not exists media_urls text[];
end
$$;
