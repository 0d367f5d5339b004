-- Tracking links (docs/links.md): short codes, which are counted and redirected by a daemon (GET /l/{code}).
-- Re-runnable; replaced as a whole.
--
--   text of a delivery ─▶ shorten_text ─▶ shorten_links ─▶ make_link ─▶ notification_tracking_links
--   GET /l/{code} ─▶ click_link ─▶ notification_tracking_links, notification_deliveries
--
-- The table is that of preset `buildos`. Where it is missing, no code is known, and the functions for the app are not
-- made.

-- ---------------------------------------------------------------- codes

-- A code of so many letters and digits, each as likely as any other: from the bytes of random uuids, which have a
-- cryptographic source also where pgcrypto is not installed.
create or replace function punctual.short_code(length int) returns text
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  letters constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  code text := '';
  bytes bytea;
begin
  if coalesce(length, 0) not between 4 and 32 then
    raise exception using errcode = 'PT422', message = 'a short code has 4 to 32 characters',
      hint = 'Leave the length out, or give one of these.';
  end if;
  while char_length(code) < length loop
    bytes := uuid_send(gen_random_uuid());
    for n in 0..15 loop
      -- Two bytes have the version of the uuid. Of the values of the others, 248 are four times as many as there are
      -- letters: with the rest some letters would be likelier.
      continue when n in (6, 8) or get_byte(bytes, n) >= 248;
      code := code || substr(letters, get_byte(bytes, n) % 62 + 1, 1);
    end loop;
  end loop;
  return left(code, length);
end
$$;

-- Whether a link may lead there: an http(s) URL with a host and without a user name, which would look like the host.
create or replace function punctual.may_lead_to(destination text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(destination ~* '^https?://[^[:space:][:cntrl:]/?#@\\]+([/?#][^[:space:][:cntrl:]\\]*)?$'
                  and char_length(destination) <= 2048, false)
$$;

-- A new link of a delivery; its code. Eight characters: among a million links that are in use, one guess in 200 million
-- finds one, and an address has 60 a minute.
create or replace function punctual.make_link(delivery uuid, destination text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  code text;
begin
  if delivery is null or coalesce(destination, '') = '' then
    raise exception using errcode = 'PT422', message = 'a tracking link needs a delivery and a destination',
      hint = 'Give p_delivery_id, the id of a row of notification_deliveries, and p_destination_url.';
  elsif not punctual.may_lead_to(destination) then
    raise exception using errcode = 'PT422',
      message = 'a tracking link leads to an http or https URL of at most 2,048 characters, without a user name in it',
      hint = 'Like https://app.example/briefs/42. Spaces in it are written %20.';
  end if;
  for attempt in 1..10 loop
    insert into public.notification_tracking_links (short_code, delivery_id, destination_url)
    values (punctual.short_code(8), delivery, destination)
    on conflict do nothing
    returning short_code into code;
    if found then
      return code;
    end if;
  end loop;
  raise exception using errcode = 'PT503', message = 'no code is free',
    hint = 'Delete links that have expired from notification_tracking_links.';
end
$$;

-- ---------------------------------------------------------------- links in texts

-- A text of this delivery with short links, if PUNCTUAL_LINK_URL is set. Those that are short already stay.
create or replace function punctual.shorten_links(delivery uuid, words text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  base constant text := (select s.link_url from punctual.settings s);
  rest text := words;
  made text := '';
  codes jsonb := '{}';
  link text;
  after text;
begin
  if base is null or delivery is null or words is null then
    return words;
  end if;
  loop
    link := substring(rest from '(?i)https?://[^[:space:][:cntrl:]<>"]+');
    exit when link is null;
    made := made || left(rest, strpos(rest, link) - 1);
    rest := substr(rest, strpos(rest, link) + char_length(link));
    -- What ends a sentence is no part of it; nor is a closing bracket that it has not opened.
    after := '';
    while right(link, 1) ~ '[].,;:!?''}*…”’»]'
          or right(link, 1) = ')' and char_length(replace(link, ')', '')) < char_length(replace(link, '(', ''))
    loop
      after := right(link, 1) || after;
      link := left(link, -1);
    end loop;
    if not starts_with(link, base || '/') and punctual.may_lead_to(link) then
      if not codes ? link then
        codes := codes || jsonb_build_object(link, base || '/l/' || punctual.make_link(delivery, link));
      end if;
      link := codes ->> link;
    end if;
    made := made || link || after;
  end loop;
  return made || rest;
end
$$;

-- On a text of a delivery when it is written: so what is sent is what the row says, each attempt has the same code, and
-- segments are counted of it.
create or replace function punctual.shorten_text() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.metadata ->> 'shorten_links' is distinct from 'false' then
    new.message_content := punctual.shorten_links(new.notification_delivery_id, new.message_content);
  end if;
  return new;
-- There is no such delivery: whether that matters is the app's own foreign key's to say.
exception when foreign_key_violation then
  return new;
end
$$;

-- ---------------------------------------------------------------- clicks

-- When a link ends: by its `metadata.expires_at`, a time, or 90 days after it was made.
create or replace function punctual.link_ends(made timestamptz, metadata jsonb) returns timestamptz
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if jsonb_typeof(metadata -> 'expires_at') = 'string' then
    return (metadata ->> 'expires_at')::timestamptz;
  end if;
  return coalesce(made + interval '90 days', 'infinity');
exception when data_exception then
  return coalesce(made + interval '90 days', 'infinity');
end
$$;

-- Where a link leads, and whether it has expired: no row if there is none. Counts the click, if it is one. What the
-- app's tables refuse, or have locked, keeps nobody from the page that the link leads to.
create or replace function punctual.click_link(code text, counts boolean)
returns table (link uuid, destination text, is_over boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  at constant timestamptz := clock_timestamp();
  delivery uuid;
begin
  if to_regclass('public.notification_tracking_links') is null then
    return;
  end if;
  select l.id, l.destination_url, punctual.link_ends(l.created_at, l.metadata) <= at, l.delivery_id
    into link, destination, is_over, delivery
    from public.notification_tracking_links l where l.short_code = code;
  if not found then
    return;
  end if;
  if counts and not is_over then
    begin
      update public.notification_tracking_links l
         set click_count = coalesce(l.click_count, 0) + 1, first_clicked_at = coalesce(l.first_clicked_at, at),
             last_clicked_at = greatest(l.last_clicked_at, at)
       where l.id = link;
      -- A later click moves it too if the first one could not.
      perform punctual.delivery_progress(delivery, 'clicked', at);
    exception when others then
      raise warning 'a click of the tracking link % could not be counted (%)', link, sqlstate;
    end;
  end if;
  return next;
end
$$;

revoke execute on function punctual.short_code(int), punctual.make_link(uuid, text), punctual.shorten_links(uuid, text),
  punctual.shorten_text(), punctual.click_link(text, boolean) from PUBLIC;

-- Of earlier versions.
drop function if exists punctual.link_clicked(uuid, timestamptz);
drop function if exists punctual.click_delivery(uuid);

-- What a role that may put messages into the app needs beside it, if an earlier version granted it that.
call punctual.grant_with('punctual.has_in_app(uuid, int)', 'punctual.click_link(text, boolean)');

-- ---------------------------------------------------------------- with the table

-- Makes the functions for the app and the trigger: what preset `buildos` calls once the table is there.
create or replace procedure punctual.offer_links()
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if to_regclass('public.notification_tracking_links') is null then
    return;
  end if;
  if punctual.may_offer('generate_short_code') then
    create or replace function public.generate_short_code(length int default 6) returns text
    language sql volatile security definer set search_path = pg_catalog, pg_temp as 'select punctual.short_code($1)';
    call punctual.offer('public.generate_short_code(int)', false);
  end if;
  if punctual.may_offer('create_tracking_link') then
    create or replace function public.create_tracking_link(p_delivery_id uuid, p_destination_url text) returns text
    language sql volatile security definer set search_path = pg_catalog, pg_temp
    as 'select punctual.make_link($1, $2)';
    call punctual.offer('public.create_tracking_link(uuid, text)', false);
  end if;
  if (select count(*) = 3 and bool_and(pg_catalog.pg_has_role(c.relowner, 'usage'))
        from pg_catalog.pg_class c
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and not a.attisdropped
                                      and a.attname in ('notification_delivery_id', 'message_content', 'metadata')
       where c.oid = to_regclass('public.sms_messages') and c.relkind = 'r')
     and not exists (select from pg_catalog.pg_trigger t
                      where t.tgrelid = to_regclass('public.sms_messages') and t.tgname = 'punctual_shorten')
  then
    -- By another spelling than those that are always there.
    execute $make$create trigger punctual_shorten
      before insert or update of message_content, notification_delivery_id on public.sms_messages for each row
      when (new.notification_delivery_id is not null)
      execute function punctual.shorten_text()$make$;
  end if;
end
$$;

revoke execute on procedure punctual.offer_links() from PUBLIC;

call punctual.offer_links();
