-- How the app's tables for sent messages are written where they have names of their own: what `punctual migrate` calls
-- for the `[app]` of the settings. Re-runnable; replaced as a whole. What calls the made functions is in tables.sql.
--
--   map_app ─▶ app_faults ─▶ app__places, app__knows, app__write, app__statuses, app__correct, app__reply, app__sids

-- The columns that are read or written, by their names in the settings, and of which type they must be: `word` is text
-- or an enum, `any` whatever the column has that it refers to.
create or replace function punctual.app_columns() returns table (part text, name text, type text)
language sql immutable rows 26 set search_path = pg_catalog, pg_temp as $$
  values ('messages', 'conversation_id', 'any'), ('messages', 'direction', 'word'), ('messages', 'body', 'text'),
         ('messages', 'from_number', 'text'), ('messages', 'to_number', 'text'), ('messages', 'number', 'text'),
         ('messages', 'twilio_sid', 'text'), ('messages', 'status', 'word'), ('messages', 'metadata', 'jsonb'),
         ('messages', 'scheduled_message_id', 'uuid'), ('messages', 'created_at', 'timestamptz'),
         ('messages', 'updated_at', 'timestamptz'), ('messages', 'sent_at', 'timestamptz'),
         ('messages', 'delivered_at', 'timestamptz'), ('messages', 'twilio_status', 'text'),
         ('messages', 'twilio_error_code', 'int'), ('messages', 'attempt_count', 'int'),
         ('conversations', 'id', 'any'), ('conversations', 'phone_number', 'text'), ('conversations', 'contact_id', 'any'),
         ('conversations', 'last_message_at', 'timestamptz'), ('conversations', 'created_at', 'timestamptz'),
         ('conversations', 'updated_at', 'timestamptz'),
         ('contacts', 'id', 'any'), ('contacts', 'phone_number', 'text'), ('contacts', 'created_at', 'timestamptz')
$$;

-- The table of a part. Null: there is none.
create or replace function punctual.app_table(described jsonb, part text) returns regclass
language sql stable set search_path = pg_catalog, pg_temp as $$
  select to_regclass(format('%I.%I', coalesce(described -> part ->> 'schema', 'public'),
                            coalesce(described -> part ->> 'table', part)))
$$;

-- What each of the columns is in the app's tables: one that is not named in the settings is the column of the same
-- name, if there is one (`number` is none, because that may be anything); one that is named '' is left out.
create or replace function punctual.app_found(described jsonb)
returns table (part text, name text, type text, tab regclass, wanted text, is_named boolean, col text, found text, its_type name,
               category "char", is_generated boolean)
language sql stable rows 26 set search_path = pg_catalog, pg_temp as $$
  select w.part, w.name, w.type, t.tab, t.wanted, t.is_named, a.attname::text,
         pg_catalog.format_type(a.atttypid, a.atttypmod), ty.typname, ty.typcategory, a.attgenerated <> ''
    from punctual.app_columns() w
   cross join lateral (
     select punctual.app_table(described, w.part) as tab,
            coalesce(described -> w.part -> 'columns' ->> w.name, case when w.name <> 'number' then w.name else '' end) as wanted,
            coalesce(described -> w.part -> 'columns' ? w.name, false) as is_named) t
    left join pg_catalog.pg_attribute a
      on a.attrelid = t.tab and a.attname = t.wanted and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_type ty on ty.oid = a.atttypid
   where t.tab is not null and t.wanted <> ''
     -- As in punctual.columns_of.
     and (w.name <> 'scheduled_message_id' or t.is_named or a.attname::text = any (punctual.columns_of('messages', array[w.name]))
          or a.attrelid is distinct from to_regclass('public.messages'))
$$;

-- The columns that are there, and their types: by part and name.
create or replace function punctual.app_names(described jsonb, types boolean) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_object_agg(p.part, p.names), '{}')
    from (select f.part, jsonb_object_agg(f.name, case when types then f.found else quote_ident(f.col) end) as names
            from punctual.app_found(described) f where f.col is not null group by f.part) p
$$;

-- Whether sent messages have conversations, and these have contacts.
create or replace function punctual.app_has(described jsonb, part text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(n.names -> part ?& '{id,phone_number}'
                  and case part when 'contacts' then n.names -> 'conversations' ? 'contact_id'
                                else described ? part or n.names -> 'messages' ? 'conversation_id' end, false)
    from (select punctual.app_names(described, false) as names) n
$$;

-- A number as a key: in E.164, if it is one, whatever its form. Without a country as it is. Of built-in functions
-- alone, because it is in indexes of the app's tables.
create or replace function punctual.number_text(numbers jsonb, expression text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('((%s)::text collate "C")', case when numbers is null or jsonb_typeof(numbers) = 'null' then expression else format(
    $key$case when (%1$s)::text ~ '[A-Za-z@]' or (%1$s)::text !~ '(?:\d\D*){7}' then (%1$s)::text
      else regexp_replace(regexp_replace(regexp_replace(regexp_replace((%1$s)::text, '\(0\)|[^0-9+]', '', 'g'),
             '^(?:%2$s)', '+'), '^%3$s(?=\d{%4$s,%5$s}$)', '+%3$s'), '^%6$s(?=\d)', '+%3$s') end$key$,
    expression, numbers ->> 'abroad', numbers ->> 'code',
    coalesce(numbers ->> 'usual', numbers ->> 'longest')::int - length(numbers ->> 'code') + 1, numbers ->> 'longest', coalesce('(?:' || nullif(numbers ->> 'trunk', '') || ')?', '')) end)
$$;

-- A status, or a direction, in the app's word, as its column takes it.
create or replace function punctual.app_word_text(described jsonb, expression text, type text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(%s)::%s',
                case when coalesce(described -> 'messages' -> 'words', '{}') = '{}' then expression
                     else format('coalesce(%L::jsonb ->> (%s), %2$s)', described -> 'messages' -> 'words', expression) end, type)
$$;

-- What each column of a message gets: when it was sent, as a reply, and when its attempt has come further. Null:
-- nothing.
create or replace function punctual.app_values(described jsonb, types jsonb)
returns table (name text, outbound text, inbound text, reached text)
language sql stable rows 17 set search_path = pg_catalog, pg_temp as $$
  select v.name, v.outbound, v.inbound, v.reached
    from (select $q$case when a.message_status in ('failed', 'undelivered', 'cancelled')
      then punctual.sent_code(a.token, a.provider_sid, a.receipt_status) end$q$ as code) q
   cross join lateral (values
      ('conversation_id', 'i.place', 'place', null),
      ('direction', punctual.app_word_text(described, $q$'outbound'$q$, types ->> 'direction'),
       punctual.app_word_text(described, $q$'inbound'$q$, types ->> 'direction'), null),
      ('body', 'i.body', 'words', null),
      ('from_number', 'i.from_number', 'theirs', null),
      ('to_number', 'i.to_number', 'ours', null),
      ('number', 'i.to_number', 'theirs', null),
      ('twilio_sid', $q$nullif(i.sid, '')$q$, 'reply', null),
      ('status', punctual.app_word_text(described, $q$coalesce(a.message_status, 'sent')$q$, types ->> 'status'),
       punctual.app_word_text(described, $q$'received'$q$, types ->> 'status'),
       punctual.app_word_text(described, 'a.message_status', types ->> 'status')),
      ('metadata', 'punctual.sent_metadata(i.id)', $q$jsonb_build_object('source', 'reply')$q$, null),
      ('scheduled_message_id', 'i.id', null, null),
      ('created_at', null, 'at', null),
      ('updated_at', null, null, null),
      ('sent_at', 'i.sent_at', 'at', null),
      ('delivered_at', $q$case when a.message_status = 'delivered' then clock_timestamp() end$q$, null, null),
      ('twilio_status', 'a.receipt_status', null, 'a.receipt_status'),
      ('twilio_error_code', q.code, null, q.code),
      ('attempt_count', 'a.number', null, null)) as v (name, outbound, inbound, reached)
   where types ? v.name
$$;

-- The constants of a part, as a list of columns and one of values, each after a comma.
create or replace function punctual.app_constants(described jsonb, part text, out columns text, out constants text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(string_agg(format(', %I', k.key), '' order by k.key), ''),
         coalesce(string_agg(format(', %L::%s', k.value, punctual.source_type(punctual.app_table(described, part), k.key)), ''
                             order by k.key), '')
    from jsonb_each_text(coalesce(described -> part -> 'constants', '{}')) k
$$;

-- The contact with a number, as an expression.
create or replace function punctual.app_contact_text(described jsonb, names jsonb, expression text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  -- Found before they are sorted: else a number that is in no row has the table walked in the order of its ids.
  select format('(select k.%s from (select k.* from %s k where %s = %s offset 0) k order by %sk.%1$s limit 1)', names -> 'contacts' ->> 'id',
                punctual.app_table(described, 'contacts'),
                punctual.number_text(described -> 'numbers', 'k.' || (names -> 'contacts' ->> 'phone_number')),
                punctual.number_text(described -> 'numbers', expression),
                coalesce('k.' || (names -> 'contacts' ->> 'created_at') || ', ', ''))
$$;

-- The function that finds the conversation of each number where none is known: the oldest, else a new one, with its
-- contact. As punctual.conversations_for.
create or replace function punctual.app_places_text(described jsonb, names jsonb, types jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($template$
create or replace function punctual.app__places(known %1$s[], numbers text[]) returns %1$s[]
language plpgsql set search_path = pg_catalog, %2$I, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $made$
declare
  found %1$s[] := known;
  missing text[];
begin
  for made in 0..1 loop
    select array_agg(coalesce(i.id, c.id) order by i.n),
           array_agg(distinct i.number) filter (where i.id is null and c.id is null)
      into found, missing
      from unnest(found, numbers) with ordinality as i (id, number, n)
      left join lateral (
        select c.%3$s as id from (select c.* from %4$s c where i.id is null and %5$s = %6$s offset 0) c
         order by %7$sc.%3$s limit 1) c on true;
    exit when missing is null or made = 1;
    -- Locked until the transaction ends, so that two at once make one; in key order, so that they do not deadlock.
    perform pg_advisory_xact_lock(k)
       from (select distinct hashtextextended('punctual conversation ' || u.number, 0) as k
               from unnest(missing) as u (number) order by 1) keys;
    insert into %4$s (%8$s%9$s%10$s)
    select u.number%11$s%12$s
      from unnest(missing) as u (number)
     where not exists (select from %4$s c where %5$s = %13$s);
  end loop;
  return found;
end
$made$;
revoke execute on function punctual.app__places(%1$s[], text[]) from PUBLIC$template$,
    types -> 'conversations' ->> 'id', n.nspname, c ->> 'id', tab, key, punctual.number_text(described -> 'numbers', 'i.number'),
    coalesce('c.' || (c ->> 'created_at') || ', ', ''), c ->> 'phone_number',
    coalesce(', ' || (c ->> 'last_message_at'), '') || case when with_contact then ', ' || (c ->> 'contact_id') else '' end,
    k.columns,
    case when c ? 'last_message_at' then ', clock_timestamp()' else '' end
      || case when with_contact then ', ' || punctual.app_contact_text(described, names, 'u.number') else '' end,
    k.constants, punctual.number_text(described -> 'numbers', 'u.number'))
    from (select names -> 'conversations' as c, punctual.app_table(described, 'conversations') as tab,
                 punctual.app_has(described, 'contacts') as with_contact) d
   cross join lateral (select punctual.number_text(described -> 'numbers', 'c.' || (c ->> 'phone_number')) as key) x
   cross join lateral punctual.app_constants(described, 'conversations') k
    join pg_catalog.pg_class r on r.oid = tab
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
$$;

-- The function that says which numbers have a conversation. As punctual.known_numbers.
create or replace function punctual.app_knows_text(described jsonb, names jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($template$
create or replace function punctual.app__knows(numbers text[]) returns boolean[]
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $made$
begin
  return array(select k.is_there is not null
                 from unnest(numbers) with ordinality as u (number, n)
                 left join lateral (select true as is_there from %1$s c where %2$s = %3$s limit 1) k on true
                order by u.n);
end
$made$;
revoke execute on function punctual.app__knows(text[]) from PUBLIC$template$,
    punctual.app_table(described, 'conversations'),
    punctual.number_text(described -> 'numbers', 'c.' || (names -> 'conversations' ->> 'phone_number')),
    punctual.number_text(described -> 'numbers', 'u.number'))
$$;

-- The part of the function that writes messages which finds and locks their conversations. As punctual.write_messages.
create or replace function punctual.app_lock_text(tab regclass, id text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($template$
  for again in 0..1 loop
    places := punctual.app__places(places, recipients);
    -- Without waiting: a wait could end in a deadlock with the app.
    ours := array(select c.%2$s from %1$s c where c.%2$s = any (places) order by c.%2$s for no key update skip locked);
    exit when again = 1 or not exists (select from unnest(places) as p where (p = any (ours)) is not true);
    -- Another transaction has locked it, or it is gone: then there is another, or a new one.
    places := array(select (select c.%2$s from %1$s c where c.%2$s = u.id)
                      from unnest(places) with ordinality as u (id, n) order by u.n);
  end loop;$template$, tab, id)
$$;

-- The part which moves the time of conversations on, and gives them the contact that they lack. '': there is none.
create or replace function punctual.app_move_text(described jsonb, names jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when conditions is null then '' else format($template$
  update %1$s c
     set %2$s
    from (select i.id, max(i.at) as at, min(i.number) as number
            from unnest(places, sent_at, recipients) as i (id, at, number) where i.id = any (ours) group by i.id) latest
   where c.%3$s = latest.id and c.%3$s = any (ours) and (%4$s);$template$,
    punctual.app_table(described, 'conversations'), sets, names -> 'conversations' ->> 'id', conditions) end
    from (select string_agg(x.change, ', ') as sets, string_agg(x.condition, ' or ') as conditions
            from (select format('%1$s = greatest(c.%1$s, latest.at)', c ->> 'last_message_at') as change,
                         format('c.%1$s is null or c.%1$s < latest.at', c ->> 'last_message_at') as condition
                    from (select names -> 'conversations' as c) d where c ? 'last_message_at'
                  union all
                  select format('%1$s = coalesce(c.%1$s, %2$s)', c ->> 'contact_id', contact),
                         format('c.%1$s is null and %2$s is not null', c ->> 'contact_id', contact)
                    from (select names -> 'conversations' as c, punctual.app_contact_text(described, names, 'latest.number') as contact
                           where punctual.app_has(described, 'contacts')) d
                  union all
                  select format('%s = clock_timestamp()', c ->> 'updated_at'), null
                    from (select names -> 'conversations' as c) d where c ? 'updated_at') x) y
$$;

-- The function that writes sent messages; it returns those whose conversation another transaction has locked.
create or replace function punctual.app_write_text(described jsonb, names jsonb, types jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($template$
create or replace function punctual.app__write(
  ids uuid[], known uuid[], bodies text[], senders text[], recipients text[], sids text[], sent_at timestamptz[])
returns uuid[]
language plpgsql set search_path = pg_catalog, %1$I, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $made$
declare
  places %2$s[] := %3$s;
  ours %2$s[];
  free uuid[];
begin%4$s
  insert into %5$s (%6$s%7$s)
  select %8$s%9$s
    from unnest(ids, places, bodies, senders, recipients, sids, sent_at)
           as i (id, place, body, from_number, to_number, sid, sent_at)
    left join lateral (select o.* from punctual.attempts o where o.provider_sid = i.sid offset 0) a on true%10$s;%11$s%12$s
  return array(select i.id from unnest(ids, places) as i (id, place) where %13$s);
end
$made$;
revoke execute on function punctual.app__write(uuid[], uuid[], text[], text[], text[], text[], timestamptz[]) from PUBLIC$template$,
    n.nspname, coalesce(id_type, 'uuid'),
    case when id_type = 'uuid' then 'known' else format('array_fill(null::%s, array[cardinality(ids)])', coalesce(id_type, 'uuid')) end,
    case when id_type is null then '' else punctual.app_lock_text(punctual.app_table(described, 'conversations'), names -> 'conversations' ->> 'id') end,
    tab, v.columns, k.columns, v.outbound, k.constants,
    case when id_type is null then '' else E'\n   where i.place = any (ours)' end,
    case when id_type is null then '' else punctual.app_move_text(described, names) end,
    case when (described -> 'conversations' ->> 'write_back')::boolean then $back$
  free := array(select m.id from public.scheduled_messages m where m.id = any (ids) and m.conversation_id is null
                 order by m.id for no key update skip locked);
  update public.scheduled_messages m set conversation_id = i.place, updated_at = clock_timestamp()
    from unnest(ids, places) as i (id, place)
   where i.place = any (ours) and m.id = i.id and m.id = any (free);$back$ else '' end,
    case when id_type is null then 'false' else '(i.place = any (ours)) is not true' end)
    from (select punctual.app_table(described, 'messages') as tab,
                 case when punctual.app_has(described, 'conversations') then types -> 'conversations' ->> 'id' end as id_type) d
   cross join lateral (
     select string_agg(names -> 'messages' ->> w.name, ', ' order by w.name) as columns,
            string_agg(w.outbound, ', ' order by w.name) as outbound
       from punctual.app_values(described, types -> 'messages') w
      where w.outbound is not null and (w.name <> 'conversation_id' or id_type is not null)) v
   cross join lateral punctual.app_constants(described, 'messages') k
    join pg_catalog.pg_class r on r.oid = tab
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
$$;

-- The functions that update messages to what their attempts have reached, and correct their texts, and the one that
-- says which sids there are. As punctual.write_statuses and punctual.correct_messages; without a column for sids they
-- do nothing.
create or replace function punctual.app_statuses_text(described jsonb, names jsonb, types jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($template$
create or replace function punctual.app__statuses(sids text[]) returns text[]
language plpgsql set search_path = pg_catalog, %1$I, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $made$
declare
  ours text[];
begin
%2$s  return '{}'::text[];
end
$made$;
create or replace function punctual.app__correct(sids text[], sent text[], told text[]) returns void
language plpgsql set search_path = pg_catalog, %1$I, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $made$
begin
%3$s  return;
end
$made$;
create or replace function punctual.app__sids(sids text[]) returns setof text
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $made$
begin
%4$s  return;
end
$made$;
revoke execute on function punctual.app__statuses(text[]), punctual.app__correct(text[], text[], text[]),
                           punctual.app__sids(text[]) from PUBLIC$template$,
    n.nspname,
    case when m ? 'twilio_sid' and sets is not null then format($do$  perform from punctual.attempts a where a.provider_sid = any (sids) order by a.token for share;
  ours := array(select m.%2$s::text from %1$s m where m.%2$s = any (sids) order by m.%2$s for no key update skip locked);
  update %1$s m
     set %3$s
    from punctual.attempts a
   where a.provider_sid = any (ours) and m.%2$s = a.provider_sid and m.%2$s = any (ours) and a.message_status is not null
     and (%4$s) is distinct from (%5$s);
  if cardinality(ours) < cardinality(sids) then
    return array(select m.%2$s::text from %1$s m where m.%2$s = any (sids) and m.%2$s <> all (ours));
  end if;
$do$, tab, m ->> 'twilio_sid', sets || updated || delivered, are, become) else '' end,
    case when m ?& '{twilio_sid,body}' then format($do$  update %1$s m set %3$s = c.sent
    from unnest(sids, sent, told) as c (sid, sent, told) where m.%2$s = c.sid and m.%2$s = any (sids) and m.%3$s = c.told;
$do$, tab, m ->> 'twilio_sid', m ->> 'body') else '' end,
    case when m ? 'twilio_sid' then format($do$  return query select s.sid from unnest(sids) as s (sid) where exists (select from %s m where m.%s = s.sid);
$do$, tab, m ->> 'twilio_sid') else '' end)
    from (select punctual.app_table(described, 'messages') as tab, names -> 'messages' as m) d
   cross join lateral (
     select case when m ? 'updated_at' then format(', %s = clock_timestamp()', m ->> 'updated_at') else '' end as updated,
            case when m ? 'delivered_at'
                 then format($d$, %1$s = case when a.message_status = 'delivered' then coalesce(m.%1$s, clock_timestamp()) else m.%1$s end$d$,
                             m ->> 'delivered_at') else '' end as delivered) u
   cross join lateral (
     select string_agg(format('%s = %s', m ->> w.name, w.reached), ', ') as sets,
            string_agg(format('m.%s', m ->> w.name), ', ') as are, string_agg(w.reached, ', ') as become
       from punctual.app_values(described, types -> 'messages') w where w.reached is not null) v
    join pg_catalog.pg_class r on r.oid = tab
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
$$;

-- The function that writes a reply, unless it is there. As punctual.write_reply.
create or replace function punctual.app_reply_text(described jsonb, names jsonb, types jsonb) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($template$
create or replace function punctual.app__reply(reply text, theirs text, ours text, words text, at timestamptz) returns void
language plpgsql set search_path = pg_catalog, %1$I, pg_temp set enable_seqscan = off set enable_bitmapscan = off
set enable_hashjoin = off set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan as $made$
#variable_conflict use_variable
declare
  place %2$s;
begin
%3$s%4$s  insert into %5$s (%6$s%7$s) values (%8$s%9$s);
%10$send
$made$;
revoke execute on function punctual.app__reply(text, text, text, text, timestamptz) from PUBLIC$template$,
    n.nspname, coalesce(id_type, 'uuid'),
    case when m ? 'twilio_sid' then format(E'  if exists (select from %s m where m.%s = reply) then\n    return;\n  end if;\n', tab,
                                           m ->> 'twilio_sid') else '' end,
    case when id_type is null then ''
         else format(E'  place := (punctual.app__places(array[null::%s], array[theirs]))[1];\n', id_type) end,
    tab, v.columns, k.columns, v.inbound, k.constants,
    case when id_type is null or not c ? 'last_message_at' then ''
         -- Without waiting, which could end in a deadlock with the app. Whoever has it locked moves it on.
         else format($do$  update %1$s c set %3$s = at
   where c.%2$s = (select f.%2$s from %1$s f where f.%2$s = place for no key update skip locked)
     and (c.%3$s is null or c.%3$s < at);
$do$, punctual.app_table(described, 'conversations'), c ->> 'id', c ->> 'last_message_at') end)
    from (select punctual.app_table(described, 'messages') as tab, names -> 'messages' as m, names -> 'conversations' as c,
                 case when punctual.app_has(described, 'conversations') then types -> 'conversations' ->> 'id' end as id_type) d
   cross join lateral (
     select string_agg(m ->> w.name, ', ' order by w.name) as columns, string_agg(w.inbound, ', ' order by w.name) as inbound
       from punctual.app_values(described, types -> 'messages') w
      where w.inbound is not null and (w.name <> 'conversation_id' or id_type is not null)) v
   cross join lateral punctual.app_constants(described, 'messages') k
    join pg_catalog.pg_class r on r.oid = tab
    join pg_catalog.pg_namespace n on n.oid = r.relnamespace
$$;

-- What prevents that these tables are written, in words: of each, what to do.
create or replace function punctual.app_faults(described jsonb) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  wrong text[] := '{}';
  names jsonb;
  types jsonb;
  it record;
begin
  -- It would end the text of a function that is made.
  if strpos(described::text, '$made$') > 0 then
    return array['a name with $made$ cannot be used: rename it'];
  end if;
  for it in
    select p.part, p.tab, coalesce(described -> p.part ->> 'table', p.part) as title, c.relkind,
           o.oid = me.oid or o.rolsuper or pg_catalog.pg_has_role(o.oid, 'usage') and not me.rolsuper as is_ours
      from (select u.part, punctual.app_table(described, u.part) as tab
              from unnest(array['messages', 'conversations', 'contacts']) as u (part)
             where u.part = 'messages' or described ? u.part) p
      left join pg_catalog.pg_class c on c.oid = p.tab
      left join pg_catalog.pg_roles o on o.oid = c.relowner
      left join pg_catalog.pg_roles me on me.rolname = current_user
  loop
    if it.tab is null then
      wrong := wrong || format('there is no table %s (app.%s.table)', it.title, it.part);
    elsif it.relkind <> 'r' then
      wrong := wrong || format('%s must be a plain table (app.%s.table)', it.tab, it.part);
    -- Its triggers run with the rights of this role when messages are written: never with more than its owner has.
    elsif not it.is_ours then
      wrong := wrong || format('%s belongs to another role: run `punctual migrate` as its owner', it.tab);
    end if;
  end loop;
  if wrong <> '{}' then
    return wrong;
  end if;
  names := punctual.app_names(described, false);
  types := punctual.app_names(described, true);
  for it in select f.* from punctual.app_found(described) f where described ? f.part or f.part = 'messages' loop
    if it.col is null then
      if it.is_named then
        wrong := wrong || format('the table %s has no column %s: correct app.%s.columns.%s', it.tab, it.wanted, it.part, it.name);
      end if;
    elsif it.is_generated then
      wrong := wrong || format('column %s of %s is generated, so it cannot be written: app.%s.columns.%s = "" leaves it out',
                               it.col, it.tab, it.part, it.name);
    elsif not (case it.type when 'any' then true when 'word' then it.category in ('S', 'E') when 'text' then it.category = 'S' and it.its_type <> 'bpchar'
                            when 'jsonb' then it.its_type in ('json', 'jsonb') when 'uuid' then it.its_type = 'uuid' or it.category = 'S'
                            when 'int' then it.its_type in ('int4', 'int8') or it.its_type = 'int2' and it.name = 'attempt_count' else it.its_type = it.type end) then
      wrong := wrong || format('column %s of %s is %s and must be %s: name another one in app.%s.columns.%s, or "" to leave it out',
                               it.col, it.tab, it.found, case it.type when 'word' then 'text or an enum' else it.type end, it.part, it.name);
    end if;
  end loop;
  if described ? 'conversations' and not coalesce(names -> 'conversations' ?& '{id,phone_number}', false) then
    wrong := wrong || format('%s needs columns for id and phone_number: name them in app.conversations.columns',
                             punctual.app_table(described, 'conversations'));
  end if;
  if described ? 'contacts' and not coalesce(names -> 'contacts' ?& '{id,phone_number}', false) then
    wrong := wrong || format('%s needs columns for id and phone_number: name them in app.contacts.columns',
                             punctual.app_table(described, 'contacts'));
  end if;
  return wrong || punctual.app_reference_faults(described, names, types) || punctual.app_value_faults(described, names);
end
$$;

-- What is wrong with how these tables refer to each other.
create or replace function punctual.app_reference_faults(described jsonb, names jsonb, types jsonb) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  conversations constant regclass := punctual.app_table(described, 'conversations');
  wrong text[] := '{}';
  it record;
begin
  if not punctual.app_has(described, 'conversations') then
    return wrong;
  end if;
  for it in
    select x.part, x.col, x.target
      from (values ('messages', 'conversation_id', 'conversations', true),
                   ('conversations', 'contact_id', 'contacts', punctual.app_has(described, 'contacts'))) x (part, col, target, is_used)
     where x.is_used and types -> x.part ->> x.col is distinct from types -> x.target ->> 'id' and types -> x.part ? x.col
  loop
    wrong := wrong || format('column %s of %s is %s, and the id of %s is %s: name columns of one type, or app.%s.columns.%s = ""',
                             names -> it.part ->> it.col, punctual.app_table(described, it.part), types -> it.part ->> it.col,
                             punctual.app_table(described, it.target), types -> it.target ->> 'id', it.part, it.col);
  end loop;
  if not exists (select from pg_catalog.pg_index i
                   join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and i.indkey[0] = a.attnum
                  where i.indrelid = conversations and i.indisunique and i.indisvalid and i.indpred is null and i.indnkeyatts = 1
                    and quote_ident(a.attname) = names -> 'conversations' ->> 'id') then
    wrong := wrong || format('column %s of %s must be its primary key, or unique (app.conversations.columns.id)',
                             names -> 'conversations' ->> 'id', conversations);
  end if;
  if (described -> 'conversations' ->> 'write_back')::boolean then
    if types -> 'conversations' ->> 'id' <> 'uuid' then
      wrong := wrong || format('app.conversations.write_back needs an id that is a uuid, and that of %s is %s: set it to false',
                               conversations, types -> 'conversations' ->> 'id');
    end if;
    wrong := wrong || array(
      select format('scheduled_messages.conversation_id refers to %s: set app.conversations.write_back = false, or alter table '
                    'public.scheduled_messages drop constraint %I', k.confrelid::regclass, k.conname)
        from pg_catalog.pg_constraint k
        join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and k.conkey = array[a.attnum] and a.attname = 'conversation_id'
       where k.conrelid = 'public.scheduled_messages'::regclass and k.contype = 'f' and k.confrelid <> conversations);
  end if;
  return wrong;
end
$$;

-- What is wrong with constants and words, and which columns lack a value.
create or replace function punctual.app_value_faults(described jsonb, names jsonb) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  wrong text[] := '{}';
  it record;
begin
  for it in
    select p.part, p.tab, k.key as col, k.value as word, punctual.source_type(p.tab, k.key) as type,
           exists (select from jsonb_each_text(names -> p.part) n where n.value = quote_ident(k.key)) as is_written
      from unnest(array['messages', 'conversations']) as u (part)
     cross join lateral (select u.part, punctual.app_table(described, u.part) as tab) p
     cross join lateral jsonb_each_text(coalesce(described -> p.part -> 'constants', '{}')) k
  loop
    if it.type is null then
      wrong := wrong || format('the table %s has no column %s: correct app.%s.constants', it.tab, it.col, it.part);
    elsif it.is_written then
      wrong := wrong || format('column %s of %s is written by app.%s.columns already: remove it from app.%2$s.constants',
                               it.col, it.tab, it.part);
    else
      begin
        execute format('select %L::%s', it.word, it.type);
      exception when others then
        wrong := wrong || format('column %s of %s is %s, which the value in app.%s.constants is not', it.col, it.tab, it.type, it.part);
      end;
    end if;
  end loop;
  for it in
    select p.part, p.tab, a.attname as col
      from unnest(array['messages', 'conversations']) as u (part)
     cross join lateral (select u.part, punctual.app_table(described, u.part) as tab) p
      join pg_catalog.pg_attribute a on a.attrelid = p.tab and a.attnum > 0 and not a.attisdropped and a.attnotnull
       and not a.atthasdef and a.attidentity = '' and a.attgenerated = ''
     where (p.part = 'messages' or punctual.app_has(described, p.part))
       and not coalesce(described -> p.part -> 'constants' ? a.attname, false)
       and not exists (select from jsonb_each_text(names -> p.part) n
                        where n.value = quote_ident(a.attname)
                          and n.key not in ('id', 'created_at', 'updated_at', 'delivered_at', 'twilio_status', 'twilio_error_code'))
     order by p.part desc, a.attnum
  loop
    wrong := wrong || format('column %s of %s is not null and has no default: give it a value in app.%s.constants, or a default',
                             it.col, it.tab, it.part);
  end loop;
  return wrong || array(
    select format('%s: %s, or give another word in app.messages.words.%s', punctual.app_table(described, 'messages'), l.lack, w.word)
      from (values ('status', 'sent'), ('status', 'queued'), ('status', 'sending'), ('status', 'delivered'),
                   ('status', 'undelivered'), ('status', 'failed'), ('status', 'cancelled'), ('status', 'received'),
                   ('direction', 'outbound'), ('direction', 'inbound')) as w (name, word)
      join punctual.app_found(described) f on f.part = 'messages' and f.name = w.name and f.category in ('S', 'E')
     cross join lateral punctual.source_lacks(f.tab, f.col, coalesce(described -> 'messages' -> 'words' ->> w.word, w.word)) as l (lack));
end
$$;

-- The functions that a mapping has made.
create or replace function punctual.app_made() returns setof regprocedure
language sql stable set search_path = pg_catalog, pg_temp as $$
  select p.oid::regprocedure from pg_catalog.pg_proc p
   where p.pronamespace = 'punctual'::regnamespace and p.proname like 'app\_\_%'
$$;

-- Has sent messages written to these tables from now on, and what waits in the outbox at once. Refuses, before anything
-- is changed, and says everything that is in the way.
-- In two steps, so that the indexes can be built in between (app_indexes): what is written, and then that it is.
create or replace function punctual.describe_app(described jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  wrong constant text[] := punctual.app_faults(described);
begin
  if wrong <> '{}' then
    raise exception using errcode = 'PU001',
      message = E'sent messages cannot be written as [app] describes it; nothing was changed:\n  - ' || array_to_string(wrong, E'\n  - ');
  end if;
  insert into punctual.app_tables as t (definition) values (described)
  on conflict (one) do update set definition = excluded.definition;
end
$$;

create or replace function punctual.map_app(described jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  names constant jsonb := punctual.app_names(described, false);
  types constant jsonb := punctual.app_names(described, true);
  made regprocedure;
begin
  perform punctual.describe_app(described);
  for made in select punctual.app_made() loop
    execute format('drop function %s', made);
  end loop;
  if punctual.app_has(described, 'conversations') then
    execute punctual.app_places_text(described, names, types);
    execute punctual.app_knows_text(described, names);
  end if;
  execute punctual.app_write_text(described, names, types);
  execute punctual.app_statuses_text(described, names, types);
  execute punctual.app_reply_text(described, names, types);
  update punctual.app_tables set mapped_at = clock_timestamp();
  update punctual.outbox set next_attempt_at = clock_timestamp();
end
$$;

-- Ends that: sent messages are written to messages and conversations again.
create or replace function punctual.unmap_app() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  made regprocedure;
  its_index record;
begin
  for made in select punctual.app_made() loop
    execute format('drop function %s', made);
  end loop;
  delete from punctual.app_tables;
  for its_index in select c.oid::regclass as name from pg_catalog.pg_class c
                    where c.relkind = 'i' and c.relname ~ '^punctual_app_(conversations|contacts|messages)_[0-9a-f]{8}$'
                      and pg_catalog.pg_has_role(c.relowner, 'usage')
  loop
    execute format('drop index %s', its_index.name);
  end loop;
end
$$;

-- The indexes by which these tables are read: those that are missing or were left invalid, and those of an earlier
-- mapping. With the statements for them; `build` is null for what is only removed.
create or replace function punctual.app_indexes() returns table (name text, is_left boolean, build text, removal text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with wanted as (
    select d.definition, p.part, punctual.app_table(d.definition, p.part) as tab, p.keys
      from punctual.app_tables d
     cross join lateral (select punctual.app_names(d.definition, false) as names) n
     cross join lateral (
       select x.part, format('(%s)', punctual.number_text(d.definition -> 'numbers', n.names -> x.part ->> 'phone_number')) as keys
         from unnest(array['conversations', 'contacts']) as x (part) where punctual.app_has(d.definition, x.part)
       union all
       select 'messages', n.names -> 'messages' ->> 'twilio_sid'
        where n.names -> 'messages' ? 'twilio_sid'
          -- One of the app's will do.
          and not exists (select from pg_catalog.pg_index i
                            join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                           where i.indrelid = punctual.app_table(d.definition, 'messages') and i.indisvalid and i.indpred is null
                             and quote_ident(a.attname) = n.names -> 'messages' ->> 'twilio_sid')) p
  ), named as (
    select w.*, 'punctual_app_' || w.part || '_' || left(md5(w.tab::text || w.keys), 8) as name from wanted w
  )
  select w.name, i.indexrelid is not null, format('create index concurrently %I on %s (%s)', w.name, w.tab, w.keys),
         format('drop index concurrently if exists %I.%I', n.nspname, w.name)
    from named w
    join pg_catalog.pg_class c on c.oid = w.tab
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_index i on i.indexrelid = to_regclass(format('%I.%I', n.nspname, w.name))
   where i.indisvalid is not true
  union all
  select c.relname::text, true, null, format('drop index concurrently if exists %s', c.oid::regclass)
    from pg_catalog.pg_class c
    join pg_catalog.pg_index i on i.indexrelid = c.oid
   where c.relkind = 'i' and c.relname ~ '^punctual_app_(conversations|contacts)_[0-9a-f]{8}$'
     and pg_catalog.pg_has_role(c.relowner, 'usage') and c.relname not in (select w.name from named w)
  order by 1
$$;

-- Where these tables have somebody's number, and what is blanked then: the number as an expression, and columns.
create or replace function punctual.app_personal() returns table (tab regclass, number text, blanked text[])
language sql stable set search_path = pg_catalog, pg_temp as $$
  select punctual.app_table(d.definition, x.part), punctual.number_text(d.definition -> 'numbers', n.names -> x.part ->> x.number),
         array(select f.col from punctual.app_found(d.definition) f
                where f.part = x.part and f.col is not null and f.name in (x.number, 'body'))
    from punctual.app_tables d
   cross join lateral (select punctual.app_names(d.definition, false) as names) n
   cross join (values ('messages', 'to_number'), ('messages', 'from_number'), ('messages', 'number'),
                      ('conversations', 'phone_number'), ('contacts', 'phone_number')) x (part, number)
   where n.names -> x.part ? x.number
$$;

revoke execute on function punctual.describe_app(jsonb), punctual.map_app(jsonb), punctual.unmap_app() from PUBLIC;
