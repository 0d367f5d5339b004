-- Triggers on punctual.paces, and what becomes of a slot that no request used. Re-runnable; replaced as a whole.

-- The gap after the message that took this slot. `gap` in src/schedule/pace.rs is the same.
create or replace function punctual.pace_gap(seed bigint, slot_number bigint, gap_min interval, gap_max interval)
returns interval
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select gap_min + (((get_byte(d.hash, 0) << 16) + (get_byte(d.hash, 1) << 8) + get_byte(d.hash, 2))::bigint
                    * (extract(epoch from gap_max - gap_min) * 1000000)::bigint >> 24) * interval '1 microsecond'
    from (select sha256(convert_to(seed || ':' || slot_number, 'UTF8')) as hash) d
$$;

create or replace function punctual.guard_pace() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.scope := lower(btrim(new.scope, white!()));
  new.what := lower(btrim(new.what, white!()));
  if new.what !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
    raise exception using errcode = '22023',
      message = 'a pace names the id of its campaign, a UUID with its dashes';
  end if;
  if not (new.gap_min > interval '0' and new.gap_max >= new.gap_min and new.gap_max <= interval '1 day') then
    raise exception using errcode = '22023',
      message = 'the gaps of a pace are longer than 0 and at most a day, and the longest is not shorter than the shortest';
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
  before insert or update of scope, what, gap_min, gap_max on punctual.paces for each row
  execute function punctual.guard_pace();

create or replace trigger punctual_notify_paces
  after insert or update of scope, what, gap_min, gap_max, at or delete on punctual.paces for each statement
  execute function punctual.notify_paces();

create or replace trigger punctual_notify_paces_truncate
  after truncate on punctual.paces for each statement
  execute function punctual.notify_paces();

-- An attempt whose request never began gives its slot back, while no later one was taken. The row of the pace is
-- skipped if it is locked: nobody waits for it while holding messages, and the cost is one gap.
create or replace function punctual.return_slot() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update punctual.paces p
     set next_at = p.slot, position = p.position - 1, token = null, slot = null
   where p.id in (select own.id from punctual.paces own where own.token = new.token for no key update skip locked);
  return null;
end
$$;

create or replace trigger punctual_return_slot
  after update of outcome on punctual.attempts for each row
  when (old.outcome is null and new.started_at is null and sent_nothing!(new))
  execute function punctual.return_slot();
