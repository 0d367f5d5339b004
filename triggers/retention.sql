-- Deletes what is long over from the ledger. Re-runnable; replaced as a whole.
--
-- The only way to delete from the ledger for a role that does not own it. `migrate --role` does not grant it: a
-- stolen password of a daemon must not suffice to delete what shows what was sent.

-- Attempts, receipts and notes of messages whose attempts were all claimed before `before`, at most so many
-- messages; returns how many messages it was. Kept is all of a message that is pending, being sent or unconfirmed,
-- that has an attempt whose outcome is not known or that is still looked up, or that waits in the outbox or for a
-- change of its event. Opt-outs and the replies that set them are never deleted.
create or replace function punctual.forget(before timestamptz, most int default 10000) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp
-- By keys, and planned on each call: a plan from when the tables were small would read all of them.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_custom_plan as $$
declare
  -- A restored database, a late callback or a look-up may need what is younger.
  youngest constant interval := '30 days';
  ids uuid[];
begin
  if before > clock_timestamp() - youngest then
    raise exception using errcode = '22023',
      message = format('the ledger of the last %s days is not deleted', extract(day from youngest)),
      hint = 'For example: select punctual.forget(now() - interval ''90 days'')';
  end if;
  if most not between 1 and 100000 then
    raise exception using errcode = '22023', message = 'at most 1 to 100000 messages are deleted at once';
  end if;
  -- The limit is inside, so that what is left for the next call is not read.
  ids := array(
    select distinct o.message_id
      from (select a.message_id
              from punctual.attempts a
             where a.claimed_at < before
               and not exists (select from punctual.attempts o
                                where o.message_id = a.message_id
                                  and (o.claimed_at >= before or unsettled!(o) or o.next_lookup_at is not null))
               and not exists (select from public.scheduled_messages m
                                where m.id = a.message_id and m.status || '' in ('pending', 'sending', 'unconfirmed'))
               and not exists (select from punctual.outbox o where o.message_id = a.message_id)
               and not exists (select from punctual.missed_event_changes u where u.message_id = a.message_id)
             limit most) o);
  -- Checked again under the locks, which are taken row before attempt: a callback or a claim may have come first.
  perform from public.scheduled_messages m where m.id = any (ids) order by m.id for no key update;
  perform from punctual.attempts a where a.message_id = any (ids) order by a.token for no key update;
  ids := array(
    select i.id
      from unnest(ids) as i (id)
     where not exists (select from public.scheduled_messages m
                        where m.id = i.id and m.status || '' in ('pending', 'sending', 'unconfirmed'))
       and not exists (select from punctual.attempts o
                        where o.message_id = i.id
                          and (o.claimed_at >= before or unsettled!(o) or o.next_lookup_at is not null))
       and not exists (select from punctual.outbox o where o.message_id = i.id)
       and not exists (select from punctual.missed_event_changes u where u.message_id = i.id));
  delete from punctual.receipts r where r.message_id = any (ids);
  delete from punctual.notes n where n.message_id = any (ids);
  delete from punctual.foreign_writes f
   where f.xid in (select o.xid from punctual.foreign_writes o where o.at < before limit most);
  delete from punctual.attempts a where a.message_id = any (ids) and a.claimed_at < before;
  return cardinality(ids);
end
$$;

revoke execute on function punctual.forget(timestamptz, int) from PUBLIC;
