-- Deletes what is long over from schema punctual, in small steps. Re-runnable; replaced as a whole.
--
-- The only way to delete from the ledger for a daemon's role, which does not own it. So a stolen password of a daemon
-- deletes nothing that is younger than 30 days, or still needed.

-- Of these messages, those of which nothing is needed any more: all of their attempts were claimed before `before`,
-- none of them has an unknown outcome or is still looked up, the row (if there is one) has ended, and nothing waits for
-- the app's tables or for a change of its event. Their rows and attempts are locked, row before attempt; a message
-- whose row somebody else has locked is left for the next time.
create or replace function punctual.over(ids uuid[], before timestamptz) returns uuid[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  free uuid[];
begin
  free := array(select l.id from (select m.id, m.status from public.scheduled_messages m
                                   where m.id = any (ids) order by m.id for no key update skip locked) l
                 where l.status not in ('pending', 'sending', 'unconfirmed'))
       || array(select i.id from unnest(ids) as i (id)
                 where not exists (select from public.scheduled_messages m where m.id = i.id));
  perform from punctual.attempts a where a.message_id = any (free) order by a.token for no key update;
  return array(
    select i.id
      from unnest(free) as i (id)
     where not exists (select from punctual.attempts o
                        where o.message_id = i.id
                          and (o.claimed_at >= before or unsettled!(o) or o.next_lookup_at is not null))
       and not exists (select from punctual.outbox o where o.message_id = i.id)
       and not exists (select from punctual.missed_event_changes u where u.message_id = i.id));
end
$$;

-- The first token of that millisecond: tokens are UUIDs of version 7, so the ledger is walked by age along its key.
create or replace function punctual.token_at(at timestamptz) returns uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select (lpad(to_hex(greatest(extract(epoch from at) * 1000, 0)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

-- What belongs to no message, or to none any more; '': there is more of it.
create or replace function punctual.retain_rest(before timestamptz, texts_before timestamptz, most int) returns text
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  writes int;
  events int;
  instances int;
  acts int;
  answers int;
  shown int;
  ended int;
  drafts int;
  reminders int;
begin
  delete from punctual.foreign_writes f
   where f.ctid in (select o.ctid from punctual.foreign_writes o where o.at < before limit most);
  get diagnostics writes = row_count;
  -- An event that was deleted: while a message of it may be sent, its claim asks for that.
  delete from punctual.deleted_events d
   where d.ctid in (select o.ctid from punctual.deleted_events o
                     where o.deleted_at < before
                       and not exists (select from public.scheduled_messages m
                                        where m.calendar_event_id = o.calendar_event_id and m.user_id = o.user_id
                                          and m.status || '' in ('pending', 'sending', 'unconfirmed'))
                     limit most);
  get diagnostics events = row_count;
  -- Instances that ended long ago, unless an attempt of theirs is open, or a journal or a restore may still ask for
  -- them.
  delete from punctual.instances i
   where i.ctid in (select o.ctid from punctual.instances o
                     where (o.stopped_at < before or o.stopped_at is null and o.heartbeat_at < before)
                       and not coalesce(o.journal_incomplete, false)
                       and not exists (select from punctual.attempts a where a.instance = o.id and a.outcome is null)
                       and not exists (select from punctual.quarantine q where q.ended_at is null)
                     limit most);
  get diagnostics instances = row_count;
  delete from punctual.operator_history h
   where h.ctid in (select o.ctid from punctual.operator_history o where o.at < before limit most);
  get diagnostics acts = row_count;
  delete from punctual.replies r where r.ctid in (select o.ctid from punctual.replies o where o.at < before limit most);
  get diagnostics answers = row_count;
  -- What was shown in the app, which is a text, unless a part of the message may still be put there, or again.
  delete from punctual_api.in_app_messages s
   where s.ctid in (select o.ctid from punctual_api.in_app_messages o
                     where o.created_at < texts_before
                       and not exists (select from public.scheduled_messages m
                                        where m.id = o.message_id
                                          and m.status || '' in ('pending', 'sending', 'unconfirmed'))
                     limit most);
  get diagnostics shown = row_count;
  delete from punctual_api.push_subscriptions p
   where p.ctid in (select o.ctid from punctual_api.push_subscriptions o where o.ended_at < before limit most);
  get diagnostics ended = row_count;
  -- Drafts have the title of an event, unless their message may still be sent.
  delete from punctual.drafts d
   where d.ctid in (select o.ctid from punctual.drafts o
                     where o.needed_by < texts_before
                       and not exists (select from public.scheduled_messages m
                                        where m.id = o.message_id
                                          and m.status || '' in ('pending', 'sending', 'unconfirmed'))
                     limit most);
  get diagnostics drafts = row_count;
  delete from punctual.draft_days d where d.day < (before at time zone 'UTC')::date;
  -- Of an event that is long over nothing is planned any more.
  delete from punctual.planned p
   where p.ctid in (select o.ctid from punctual.planned o
                     where o.starts_at < before
                       and not exists (select from public.scheduled_messages m
                                        where m.id = o.message_id
                                          and m.status || '' in ('pending', 'sending', 'unconfirmed'))
                     limit most);
  get diagnostics reminders = row_count;
  return case when greatest(writes, events, instances, acts, answers, shown, ended, drafts, reminders) = most then '' end;
end
$$;

-- One step of a walk through `part`, from the key `after` on (null: from the beginning): reads at most `most` rows,
-- deletes what is over and older than `keep`, and blanks texts that are over and older than `keep_texts` (null: never).
-- Always by message, never by attempt. `next` is where the walk goes on; null: it is at its end.
create or replace function punctual.retain(part text, after text, keep interval, keep_texts interval, most int,
                                           out next text, out deleted int, out blanked int)
language plpgsql security definer set search_path = pg_catalog, pg_temp
-- By keys, and planned on each call: a plan from when the tables were small would read all of them.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_variable
declare
  -- A restored database, a late callback or a look-up may need what is younger.
  youngest constant interval := '30 days';
  youngest_text constant interval := '1 day';
  before constant timestamptz := coalesce(clock_timestamp() - keep, '-infinity');
  texts_before constant timestamptz := greatest(coalesce(clock_timestamp() - keep_texts, '-infinity'), before);
  -- Tokens of other versions are found behind all that are drawn by the clock.
  first_end constant uuid := punctual.token_at(texts_before);
  behind constant uuid := punctual.token_at(clock_timestamp() + interval '1 day');
  moment constant text := case part when 'receipts' then 'received_at' else 'at' end;
  seen int;
  n int;
  is_young boolean;
  old uuid[];
  wordy uuid[];
begin
  if keep < youngest or keep_texts < youngest_text then
    raise exception using errcode = '22023',
      message = format('what is younger than %s days is not deleted, nor a text that is younger than one day',
                       extract(day from youngest));
  end if;
  if most not between 1 and 10000 then
    raise exception using errcode = '22023', message = 'at most 1 to 10000 rows are read in a step';
  end if;
  deleted := 0;
  blanked := 0;

  if part = 'attempts' then
    with page as (
      (select a.token, a.message_id, a.claimed_at, a.body, a.texts, a.lookup_text from punctual.attempts a
        where a.token > coalesce(after::uuid, '00000000-0000-0000-0000-000000000000') and a.token < first_end
        order by a.token limit most)
      union all
      (select a.token, a.message_id, a.claimed_at, a.body, a.texts, a.lookup_text from punctual.attempts a
        where a.token > greatest(after::uuid, behind)
        order by a.token limit most)
    ), read as materialized (select p.* from page p order by p.token limit most)
    select (array_agg(r.token order by r.token desc))[1]::text, count(*),
           coalesce(array_agg(distinct r.message_id) filter (where r.claimed_at < before), '{}'),
           coalesce(array_agg(distinct r.message_id)
                      filter (where r.claimed_at < texts_before and num_nonnulls(r.body, r.texts, r.lookup_text) > 0), '{}')
      into next, seen, old, wordy
      from read r;
    if seen < most then
      next := null;
    end if;
  elsif part in ('receipts', 'notes', 'history') then
    execute format(
      'select max(p.id)::text, count(*), coalesce(bool_and(p.moment >= $3), true),
              coalesce(array_agg(distinct p.message_id) filter (where p.moment < $4), ''{}''),
              coalesce(array_agg(distinct p.message_id) filter (where p.moment < $3), ''{}'')
         from (select t.id, t.message_id, t.%I as moment from punctual.%I t where t.id > $1 order by t.id limit $2) p',
      moment, part)
      into next, seen, is_young, old, wordy
      using coalesce(after, '0')::bigint, most, texts_before, before;
    -- What has an attempt goes with its attempts.
    old := array(
      select i.id
        from unnest(old) as i (id)
       where not exists (select from punctual.attempts a where a.message_id = i.id)
         and not exists (select from punctual.receipts r where r.message_id = i.id and r.received_at >= before)
         and not exists (select from punctual.notes o where o.message_id = i.id and o.at >= before)
         and not exists (select from punctual.history h where h.message_id = i.id and h.at >= before));
    -- Those that still have a text: others need not be locked again.
    wordy := case when part <> 'history' then '{}' else array(
      select i.id from unnest(wordy) as i (id)
       where exists (select from punctual.history h
                      where h.message_id = i.id and h.at < texts_before and h.old ?| text_columns!())) end;
    if seen < most or is_young then
      next := null;
    end if;
  elsif part = 'rest' then
    next := punctual.retain_rest(before, texts_before, most);
    return;
  else
    raise exception using errcode = '22023', message = format('no part %s is deleted from', part);
  end if;

  if old <> '{}' then
    old := punctual.over(old, before);
    delete from punctual.receipts r where r.message_id = any (old) and r.received_at < before;
    delete from punctual.notes o where o.message_id = any (old) and o.at < before;
    delete from punctual.history h where h.message_id = any (old) and h.at < before;
    delete from punctual.attempts a where a.message_id = any (old);
    deleted := cardinality(old);
  end if;
  wordy := array(select w.id from unnest(wordy) as w (id) where w.id <> all (old));
  if wordy <> '{}' then
    wordy := punctual.over(wordy, texts_before);
    update punctual.attempts a set body = null, texts = null, lookup_to = null, lookup_text = null
     where a.message_id = any (wordy) and num_nonnulls(a.body, a.texts, a.lookup_to, a.lookup_text) > 0;
    get diagnostics blanked = row_count;
    update punctual.history h set old = h.old - text_columns!(), new = h.new - text_columns!()
     where h.message_id = any (wordy) and h.at < texts_before and h.old ?| text_columns!();
    get diagnostics n = row_count;
    blanked := blanked + n;
  end if;
end
$$;

revoke execute on function punctual.retain(text, text, interval, interval, int) from PUBLIC;

-- From earlier versions.
drop function if exists punctual.forget(timestamptz, int);
drop function if exists punctual.retain_rest(timestamptz, int);
