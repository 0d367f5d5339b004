-- The app's tables for sent messages where they have names of their own: what the functions of messages.sql and others
-- call then. Re-runnable; replaced as a whole. What is made for a mapping, from one text, is in tables_setup.sql.
--
-- They have the owner's rights, so the daemon's role needs none on these tables: `punctual.map_app` takes only tables
-- of whoever runs it. The made functions have the search path for the app's own triggers.

-- Writes messages; returns those whose conversation another transaction has locked.
create or replace function punctual.mapped_write(
  ids uuid[], known uuid[], bodies text[], senders text[], recipients text[], sids text[], sent_at timestamptz[])
returns uuid[]
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return punctual.app__write(ids, known, bodies, senders, recipients, sids, sent_at);
end
$$;

-- Updates messages to what their attempts have reached; returns the sids of those that are locked.
create or replace function punctual.mapped_statuses(sids text[]) returns text[]
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return punctual.app__statuses(sids);
end
$$;

-- Corrects texts to what was sent.
create or replace function punctual.mapped_correct(sids text[], sent text[], told text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform punctual.app__correct(sids, sent, told);
end
$$;

-- Writes a reply, unless it is there.
create or replace function punctual.mapped_reply(reply text, theirs text, ours text, words text, at timestamptz)
returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform punctual.app__reply(reply, theirs, ours, words, at);
end
$$;

-- Which of these sids the app's messages have, after null. Nothing where nothing is mapped.
create or replace function punctual.mapped_sids(sids text[]) returns setof text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if to_regproc('punctual.app__sids') is not null then
    return next null;
    return query select s.sid from punctual.app__sids(sids) as s (sid);
  end if;
end
$$;

-- Which of these numbers have a conversation. None, where messages have none.
create or replace function punctual.mapped_knows(numbers text[]) returns boolean[]
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if to_regproc('punctual.app__knows') is null then
    return array_fill(false, array[cardinality(numbers)]);
  end if;
  return punctual.app__knows(numbers);
end
$$;

revoke execute on function punctual.mapped_write(uuid[], uuid[], text[], text[], text[], text[], timestamptz[]),
                           punctual.mapped_statuses(text[]), punctual.mapped_correct(text[], text[], text[]),
                           punctual.mapped_reply(text, text, text, text, timestamptz), punctual.mapped_sids(text[]),
                           punctual.mapped_knows(text[])
  from PUBLIC;

-- What a role that may write outcomes needs beside it, if an earlier version granted it that.
call punctual.grant_with('punctual.write_back(int)',
                         'punctual.mapped_write(uuid[], uuid[], text[], text[], text[], text[], timestamptz[])');
call punctual.grant_with('punctual.write_back(int)', 'punctual.mapped_statuses(text[])');
call punctual.grant_with('punctual.write_back(int)', 'punctual.mapped_correct(text[], text[], text[])');
call punctual.grant_with('punctual.write_back(int)', 'punctual.mapped_reply(text, text, text, text, timestamptz)');
call punctual.grant_with('punctual.write_back(int)', 'punctual.mapped_sids(text[])');
call punctual.grant_with('punctual.write_back(int)', 'punctual.mapped_knows(text[])');
