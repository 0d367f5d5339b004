-- Triggers on punctual.pauses: what is paused is written in the form that claims compare, and every change is
-- notified to the daemons, which read the table then.

create or replace function punctual.guard_pause() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.scope := lower(btrim(new.scope, white!()) collate "C");
  new.what := btrim(new.what, white!());
  if new.scope in ('lane', 'campaign', 'user', 'text') then
    new.what := lower(new.what collate "C");
  end if;
  if new.scope = 'lane' and new.what not in (channels!()) then
    raise exception using errcode = '22023',
      message = format('there is no lane %s to pause', to_json(left(new.what, 40))),
      hint = format('A lane is named by its channel: %s.', concat_ws(', ', channels!()));
  end if;
  -- One that is there already can be ended whatever it names.
  if new.scope in ('campaign', 'user') and new.what !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
     and (tg_op = 'INSERT' or (new.scope, new.what) is distinct from (old.scope, old.what))
  then
    raise exception using errcode = '22023',
      message = format('a pause of a %s names its id, a UUID with its dashes', new.scope);
  end if;
  if new.scope = 'text' and new.what !~ '^[0-9a-f]{16}$'
     and (tg_op = 'INSERT' or (new.scope, new.what) is distinct from (old.scope, old.what))
  then
    raise exception using errcode = '22023', message = 'a pause of a text names what it says by 16 hexadecimal digits',
      hint = 'As punctual.bursts has it.';
  end if;
  return new;
end
$$;

-- Without a notification the daemons read the pauses again within 10 s, and within 100 ms before they send anything.
create or replace function punctual.notify_pauses() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if may_notify!() then
    perform pg_notify('punctual', 'pauses');
  end if;
  return null;
end
$$;

create or replace trigger punctual_guard_pause
  before insert or update on punctual.pauses for each row
  execute function punctual.guard_pause();

create or replace trigger punctual_notify_pauses
  after insert or update or delete on punctual.pauses for each statement
  execute function punctual.notify_pauses();

create or replace trigger punctual_notify_pauses_truncate
  after truncate on punctual.pauses for each statement
  execute function punctual.notify_pauses();
