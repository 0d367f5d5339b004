-- Removes a recipient from what is kept of messages. Re-runnable; replaced as a whole.
--
-- By hand, with the caller's rights and search_path, as `punctual.erase` (erase.sql), which it calls for each message.

-- A recipient as values are compared: a phone number by its digits, anything else without case.
create or replace function punctual.bare_address(address text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when address ~ '[@/]' or address ~* '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
                or regexp_replace(address, '[^0-9]', '', 'g') !~ '[0-9]{4}' then lower(btrim(address, white!()))
              else regexp_replace(address, '[^0-9]', '', 'g') end
$$;

-- What they replied; unless claims still ask for it (not `all_of_it`), also to which campaigns.
create or replace function punctual.forget_replies(whoms text[], all_of_it boolean) returns void
language sql as $$
  delete from punctual.help_answers h where punctual.bare_address(h.their_number) = any (whoms);
  delete from punctual.replies r where punctual.bare_address(r.their_number) = any (whoms);
  delete from punctual.campaign_replies r where all_of_it and punctual.bare_address(r.their_number) = any (whoms);
  delete from punctual.outbox o
   where o.message_id is null and punctual.bare_address(o.write ->> 'theirs') = any (whoms)
$$;

revoke execute on function punctual.forget_replies(text[], boolean) from PUBLIC;

-- Replaces a number by a hash, by which its opt-outs are obeyed and its consents are found. It is no change of either.
create or replace function punctual.forget_opt_outs(whom text, recipient text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  forgetting constant text := current_setting('punctual.forgetting', true);
  -- As the log of consents has it.
  named constant text := punctual.consent_key(case when whom ~ '^[0-9]+$' then '+' || whom else recipient end);
begin
  if not exists (select from punctual.suppressions s where punctual.bare_address(s.their_number) = whom)
     and not exists (select from punctual.consents c where c.recipient = named) then
    return;
  end if;
  insert into punctual.number_key (key)
  values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')))
  on conflict do nothing;
  perform set_config('punctual.forgetting', 'on', true);
  update punctual.consents c
     set recipient = forgotten_number!(r), user_id = null
    from (select named as their_number) r
   where c.recipient = r.their_number;
  insert into punctual.suppressions (our_number, their_number, reason, created_at)
  select s.our_number, forgotten_number!(s), s.reason, s.created_at
    from punctual.suppressions s where punctual.bare_address(s.their_number) = whom
  on conflict do nothing;
  delete from punctual.suppressions s where punctual.bare_address(s.their_number) = whom;
  perform set_config('punctual.forgetting', coalesce(forgetting, ''), true);
end
$$;

revoke execute on function punctual.forget_opt_outs(text, text) from PUBLIC;

-- Erases every message to this recipient that has ended, also those whose row was deleted, as far as it is known whom
-- these were for. Returns how many; and those that are kept, because they may still be sent or may have been. If none
-- is, the recipient's opt-outs are obeyed by a hash from then on; how many that are. With `app_tables` rows of the
-- app's tables with its number are blanked, too; how many. It reads whole tables.
create or replace function punctual.forget(recipient text, app_tables boolean default false,
                                           out erased int, out kept uuid[], out opt_outs int, out app_rows int)
language plpgsql as $$
declare
  whom constant text := punctual.bare_address(recipient);
  -- Of a user also the endpoints of their push messages.
  whoms constant text[] := array(select whom union
                                 select punctual.bare_address(p.endpoint) from punctual_api.push_subscriptions p
                                  where punctual.bare_address(p.user_id::text) = whom);
  message uuid;
  wanted record;
  changed int;
  writer constant text := current_setting('punctual.writer', true);
begin
  if coalesce(whom, '') = '' then
    raise exception using errcode = '22023', message = 'whom to forget: a phone number or another address';
  end if;
  erased := 0;
  kept := '{}';
  app_rows := 0;
  for message in
    select m.id from public.scheduled_messages m where punctual.bare_address(m.to_number) = any (whoms)
    union
    select a.message_id from punctual.attempts a
     where punctual.bare_address(a.lookup_to) = any (whoms)
       and not exists (select from public.scheduled_messages m where m.id = a.message_id)
    union
    select o.message_id from punctual.outbox o where punctual.bare_address(o.write ->> 'to') = any (whoms)
    union
    select h.message_id from punctual.history h
     where array[punctual.bare_address(h.old ->> 'to_number'), punctual.bare_address(h.new ->> 'to_number')] && whoms
       and not exists (select from public.scheduled_messages m where m.id = h.message_id)
    order by 1
  loop
    begin
      perform punctual.erase(message);
      erased := erased + 1;
    exception when sqlstate 'PT409' then
      kept := kept || message;
    end;
  end loop;
  -- Of messages that nothing else names any more.
  delete from punctual_api.in_app_messages i
   where punctual.bare_address(i.user_id::text) = whom and i.message_id <> all (kept);
  -- Of campaigns, what was not scheduled.
  delete from punctual.campaign_messages c
   where punctual.bare_address(c.phone_number) = any (whoms)
     and not exists (select from public.scheduled_messages m
                      where m.id = c.message_id and m.status in ('pending', 'sending', 'unconfirmed'));
  -- One whose message has another number by now, which is still to be sent, keeps that alone.
  perform set_config('punctual.writer', 'on', true);
  update punctual.campaign_messages c set phone_number = '#' || c.id
   where punctual.bare_address(c.phone_number) = any (whoms) and c.message_id <> all (kept);
  perform set_config('punctual.writer', coalesce(writer, ''), true);
  perform punctual.forget_replies(whoms, kept = '{}');
  -- A user, or an endpoint.
  delete from punctual_api.push_subscriptions p
   where whom in (punctual.bare_address(p.user_id::text), punctual.bare_address(p.endpoint));
  -- Of a message that is for somebody else by now, what its changes show of the time before.
  update punctual.history h
     set old = h.old - personal_columns!(), new = h.new - personal_columns!()
   where h.message_id <> all (kept)
     and h.message_id in (
       select b.message_id from punctual.history b
        where array[punctual.bare_address(b.old ->> 'to_number'), punctual.bare_address(b.new ->> 'to_number')] && whoms);

  -- While a message to it is kept, its number is known anyway.
  if kept = '{}' then
    perform punctual.forget_opt_outs(whom, recipient);
  end if;
  select count(distinct s.id) into opt_outs
    from (values (btrim(recipient, white!())), ('+' || whom)) r (their_number)
    join punctual.suppressions s
      on punctual.bare_address(s.their_number) = whom or s.their_number = forgotten_number!(r);

  if app_tables then
    for wanted in
      select t.tab, t.number,
             array(select format('%I = %s', a.attname,
                                 case when not a.attnotnull then 'null'
                                      when a.attname in ('body', 'name') then ''''''
                                      -- No other row has it, and it is short.
                                      else '''x'' || left(gen_random_uuid()::text, 13)' end)
                     from unnest(t.blanked) b (col)
                     join pg_attribute a on a.attrelid = t.tab and a.attname = b.col and not a.attisdropped) as blanked
        from (select to_regclass('public.' || v.tab) as tab, quote_ident(v.number) as number, v.blanked
                from (values ('messages', 'to_number', '{to_number,body}'::text[]),
                             ('messages', 'from_number', '{from_number,body}'),
                             ('conversations', 'phone_number', '{phone_number}'),
                             ('contacts', 'phone_number', '{phone_number,name}')) v (tab, number, blanked)
                join pg_attribute c on c.attrelid = to_regclass('public.' || v.tab) and c.attname = v.number and not c.attisdropped
              union all -- those with names of the app's own
              select p.tab, p.number, p.blanked from punctual.app_personal() p) t
    loop
      execute format('update %s set %s where punctual.bare_address((%s)::text) = $1',
                     wanted.tab, array_to_string(wanted.blanked, ', '), wanted.number)
        using whom;
      get diagnostics changed = row_count;
      app_rows := app_rows + changed;
    end loop;
  end if;
end
$$;

revoke execute on function punctual.forget(text, boolean) from PUBLIC;
