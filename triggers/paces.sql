-- Triggers on punctual.paces, and what becomes of a slot that no request used. Re-runnable; replaced as a whole.

-- The gap after the message that took this slot. `gap` in src/schedule/pace.rs is the same.
create or replace function punctual.pace_gap(seed bigint, slot_number bigint, gap_min interval, gap_max interval)
returns interval
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select gap_min + (((get_byte(d.hash, 0) << 16) + (get_byte(d.hash, 1) << 8) + get_byte(d.hash, 2))::bigint
                    * (extract(epoch from gap_max - gap_min) * 1000000)::bigint >> 24) * interval '1 microsecond'
    from (select sha256(convert_to(seed || ':' || slot_number, 'UTF8')) as hash) d
$$;

-- The most segments that a text may have, roughly: the daemon counts them exactly once it has rendered it. Half of a
-- character that is two, or of what a reader sees as one, goes into the next segment. Other letters than ASCII's are
-- taken for those that make a text UCS-2.
create or replace function punctual.segments_at_most(body text) returns int
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when of.is_plain then case when of.septets <= 160 then 1 else ceil(of.septets / 152.0) end
              when of.units <= 70 then 1 else ceil(of.units / 57.0) end::int
    from (select octet_length(body) = length(body) and body !~ '[`\x01-\x09\x0b\x0e-\x1f\x7f]' as is_plain,
                 2 * length(body) - length(translate(body, '^{}[~]|' || chr(92) || chr(12), '')) as septets,
                 length(body) + (octet_length(body) - length(body)) / 3 as units) of
$$;

create or replace function punctual.guard_pace() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  room double precision;
begin
  new.scope := lower(btrim(new.scope, white!()) collate "C");
  new.what := btrim(new.what, white!());
  if new.scope = 'campaign' then
    new.what := lower(new.what collate "C");
  end if;
  if new.scope = 'sender' and new.what !~ '^(sender_forms!())$' then
    raise exception using errcode = '22023',
      message = 'a rate names its sender as from_number does: a number, a short code, a name, whatsapp: and a number, or a sender pool';
  end if;
  if new.scope = 'sender' and new.gap_min <> new.gap_max then
    raise exception using errcode = '22023',
      message = 'the rate of a sender has one gap, the time of a segment: gap_min and gap_max are equal';
  end if;
  if new.scope = 'campaign' and new.burst <> 1 then
    raise exception using errcode = '22023', message = 'only the rate of a sender has a burst';
  end if;
  if new.scope = 'campaign' and new.what !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    raise exception using errcode = '22023',
      message = 'a pace names the id of its campaign, a UUID with its dashes';
  end if;
  if not (new.gap_min > interval '0' and new.gap_max >= new.gap_min and new.gap_max <= interval '1 day') then
    raise exception using errcode = '22023',
      message = 'the gaps of a pace are longer than 0 and at most a day, and the longest is not shorter than the shortest';
  end if;
  -- Another rate, or burst: what there is room for now stays as it is.
  if tg_op = 'UPDATE' and new.scope = 'sender' and (new.gap_min, new.burst) <> (old.gap_min, old.burst) then
    room := least(old.burst, 1 + extract(epoch from clock_timestamp() - old.next_at) / extract(epoch from old.gap_min));
    new.next_at := clock_timestamp() - (least(room, new.burst) - 1) * new.gap_min;
    new.token := null;
    new.slot := null;
  end if;
  -- Other gaps: the one after the latest slot is drawn from them. What would have had a slot by now has one now: it
  -- waited for the gap before, and is not late. So it is with the slot that is taken, should no request use it. One
  -- that began later than that gap ended, because its message was due later, is moved by as much: its message,
  -- returned, may wait for longer than the new gap, and never for less.
  if tg_op = 'UPDATE' and new.scope = 'campaign' and (new.gap_min, new.gap_max) <> (old.gap_min, old.gap_max) then
    if old.position > 0 then
      new.next_at := greatest(least(old.next_at, clock_timestamp()),
                              old.next_at - punctual.pace_gap(old.seed, old.position - 1, old.gap_min, old.gap_max)
                              + punctual.pace_gap(old.seed, old.position - 1, new.gap_min, new.gap_max));
    end if;
    if old.position > 1 and old.slot is not null then
      new.slot := greatest(least(old.slot, clock_timestamp()),
                           old.slot - punctual.pace_gap(old.seed, old.position - 2, old.gap_min, old.gap_max)
                           + punctual.pace_gap(old.seed, old.position - 2, new.gap_min, new.gap_max));
    end if;
  end if;
  return new;
end
$$;

-- A claim moves the pace on without a notification: an instance that waits for it learns that from its own claim.
create or replace function punctual.notify_paces() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if may_notify!() then
    perform pg_notify('punctual', 'paces');
  end if;
  return null;
end
$$;

create or replace trigger punctual_guard_pace
  before insert or update of scope, what, gap_min, gap_max, burst on punctual.paces for each row
  execute function punctual.guard_pace();

create or replace trigger punctual_notify_paces
  after insert or update of scope, what, gap_min, gap_max, burst, at or delete on punctual.paces for each statement
  execute function punctual.notify_paces();

create or replace trigger punctual_notify_paces_truncate
  after truncate on punctual.paces for each statement
  execute function punctual.notify_paces();

-- An attempt whose request never began returns its slots, while no later ones were taken. What is cancelled could have
-- been sent in its slot: the one of the next message is a gap later, but not later than now. So the messages that an
-- outage has made too late are cancelled, and those whose slots come after it are not. The row of a pace is
-- skipped if it is locked: nobody waits for it while holding messages, and the cost is one gap.
create or replace function punctual.return_slot() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update punctual.paces p
     set next_at = case when new.outcome = 'cancelled' then greatest(p.slot, least(clock_timestamp(), p.slot
                     + case p.scope
                         when 'campaign' then interval '1 s'
                                              + punctual.pace_gap(p.seed, p.position - 1, p.gap_min, p.gap_max)
                         else (select charge!(m) from public.scheduled_messages m where m.id = new.message_id) * p.gap_min
                       end))
                   else p.slot end,
         position = p.position - 1, token = null, slot = null
   where p.id in (select own.id from punctual.paces own where own.token = new.token for no key update skip locked);
  return null;
end
$$;

create or replace trigger punctual_return_slot
  after update of outcome on punctual.attempts for each row
  when (old.outcome is null and new.started_at is null and sent_nothing!(new))
  execute function punctual.return_slot();
