-- The app's own count of a user's day, daily_sms_count, for apps that show it: what Punctual has sent is added to it,
-- if that is wanted. Re-runnable; replaced as a whole.
--
--   daily_counts ─▶ note_counts ─▶ count_changes ─▶ show_counts ─▶ user_sms_preferences, shown_counts
--
-- How much of the app's count is Punctual's is kept (shown_counts), so that it is never taken from the limit twice.
-- Each time the whole of the day is written, so a count that was lost is right with the next message.

-- What of the app's count the app itself has sent. The app's clock may have milliseconds only: a time that was read and
-- written back is the same.
create or replace function punctual.apps_count(whose uuid, count int, reset_at timestamptz) returns int
language sql stable set search_path = pg_catalog, pg_temp as $$
  select greatest(count - coalesce((
           select c.shown from punctual.shown_counts c
            where c.user_id = whose and date_trunc('milliseconds', c.since) = date_trunc('milliseconds', reset_at)
            order by c.day desc
            limit 1), 0), 0)
$$;

create or replace function punctual.note_counts() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into punctual.count_changes (user_id, day) select n.user_id, n.day from new_rows n;
  return null;
end
$$;

create or replace function punctual.shows_counts() returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select exists (select from pg_catalog.pg_trigger t
                  where t.tgrelid = 'punctual.daily_counts'::regclass and t.tgname = 'punctual_note_counts_insert')
$$;

-- Turns it on or off: what `punctual migrate --daily-counts` calls. What the app's counts have by then stays known.
create or replace function punctual.show_daily_counts(wanted boolean) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  drop trigger if exists punctual_note_counts_insert on punctual.daily_counts;
  drop trigger if exists punctual_note_counts_update on punctual.daily_counts;
  if wanted then
    -- By another spelling than those that are always there.
    execute $make$create trigger punctual_note_counts_insert after insert on punctual.daily_counts
      referencing new table as new_rows for each statement execute function punctual.note_counts()$make$;
    execute $make$create trigger punctual_note_counts_update after update on punctual.daily_counts
      referencing new table as new_rows for each statement execute function punctual.note_counts()$make$;
  else
    delete from punctual.count_changes;
  end if;
end
$$;

-- Writes what a user was sent on a day, if that is today by their clock; whether it could: another transaction may have
-- locked their row. With the rights of its caller, show_counts.
create or replace function punctual.show_count(whose uuid, of_day date) returns boolean
language plpgsql set search_path = pg_catalog, 'public', pg_temp as $$
declare
  key constant text := punctual.key_type('user_sms_preferences', 'user_id');
  theirs record;
  today record;
  ours int;
  ours_there int;
  was_reset timestamptz;
  was int;
begin
  execute format(
    'select p.tableoid as tab, p.ctid as place, p.daily_sms_count::int as count, p.daily_count_reset_at::timestamptz as reset_at, p.timezone::text as zone
       from public.user_sms_preferences p where p.user_id = $1::%s limit 1 for no key update skip locked', key)
    into theirs using whose;
  if theirs.place is null then
    -- Locked, or there is none.
    execute format('select count(*) from public.user_sms_preferences p where p.user_id = $1::%s', key) into was using whose;
    return was = 0;
  end if;
  select y.day, y.starts into today
    from (values (0, theirs.zone), (1, (select z.timezone from punctual.zones_of_users(array[whose]) z limit 1)),
                 (2, (select s.timezone from punctual.settings s)), (3, 'UTC')) as w (rank, zone)
    join punctual.days y
      on y.zone = lower(btrim(w.zone, white!()) collate "C") collate "default"
     and y.starts <= clock_timestamp() and clock_timestamp() < y.ends
   order by w.rank
   limit 1;
  if today.day is distinct from of_day then
    return true;
  end if;
  ours := coalesce((select c.count from punctual.daily_counts c where c.user_id = whose and c.day = of_day), 0);
  was_reset := theirs.reset_at;
  was := coalesce(theirs.count, 0);
  -- A count that was last set to zero before today is yesterday's.
  if was_reset < today.starts then
    was_reset := null;
    was := 0;
  end if;
  select c.shown into ours_there
    from punctual.shown_counts c
   where c.user_id = whose and c.day = of_day
     and date_trunc('milliseconds', c.since) = date_trunc('milliseconds', was_reset);
  was_reset := coalesce(was_reset, clock_timestamp());
  -- In a table with partitions several rows have the same place, each in its own.
  execute format(
    'update public.user_sms_preferences p set daily_sms_count = $1, daily_count_reset_at = $2
      where p.ctid = $3 and p.tableoid = $4 and p.user_id = $5::%s', key)
    using greatest(was - coalesce(ours_there, 0), 0) + ours, was_reset, theirs.place, theirs.tab, whose;
  delete from punctual.shown_counts c where c.user_id = whose and c.day < of_day;
  insert into punctual.shown_counts (user_id, day, shown, since) values (whose, of_day, ours, was_reset)
  on conflict (user_id, day) do update set shown = excluded.shown, since = excluded.since;
  return true;
end
$$;

-- Shows at most so many; how many there were. Null: it is off. What the app's table refuses is left out, with a
-- warning.
create or replace function punctual.show_counts(most int) returns int
language plpgsql security definer set search_path = pg_catalog, 'public', pg_temp as $$
declare
  one record;
  done int := 0;
begin
  if not punctual.shows_counts() then
    return null;
  end if;
  for one in
    with taken as (
      delete from punctual.count_changes c
       where c.id = any (array(select o.id from punctual.count_changes o order by o.id limit most for update skip locked))
      returning c.user_id, c.day
    )
    select distinct t.user_id, t.day from taken t order by t.user_id, t.day
  loop
    begin
      if not punctual.show_count(one.user_id, one.day) then
        insert into punctual.count_changes (user_id, day) values (one.user_id, one.day);
        continue;
      end if;
    exception when others then
      raise warning 'the app''s count of a user''s day could not be written: SQLSTATE %', sqlstate;
    end;
    done := done + 1;
  end loop;
  return done;
end
$$;

revoke execute on function punctual.note_counts(), punctual.show_daily_counts(boolean), punctual.show_count(uuid, date),
                           punctual.show_counts(int) from PUBLIC;
call punctual.grant_with('punctual.count_template_uses()', 'punctual.show_counts(int)');
