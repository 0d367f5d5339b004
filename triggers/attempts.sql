-- Triggers on punctual.attempts. Re-runnable; replaced as a whole.

-- Settling an attempt as certainly not sent returns its quota of the user's day. Batches do it themselves, users in
-- order (record_settled.sql, and receipts_advance.sql for what did not arrive), and mark that with `quota_returned`;
-- this is for all other writes.

create or replace function punctual.return_quota() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  update punctual.daily_counts c
     set count = greatest(c.count - 1, 0)
   where c.user_id = new.user_id and c.day = new.day;
  new.quota_returned := true;
  return new;
end
$$;

create or replace trigger punctual_return_quota
  before update on punctual.attempts for each row
  when (new.day is not null and not new.quota_returned
        and sent_nothing!(new))
  execute function punctual.return_quota();

-- Refuses the claims of a daemon that is older than the schema allows: it would send what must wait, because it does
-- not know why. What it has sent it may still record. The daemon's log shows the name of this function. One that does
-- not know the media of a message would send its text alone: it is refused that message, and no other.
create or replace function punctual.this_program_is_too_old() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  program int := coalesce(nullif(current_setting('punctual.program', true), '')::int, 1);
  oldest int := oldest_program!();
begin
  if program < oldest then
    raise exception using errcode = 'PU003',
      message = format('a daemon of program number %s claims nothing here: the schema is for %s and later', program, oldest),
      hint = 'Stop this daemon and start the version that migrated the schema.';
  end if;
  -- Not PU003: older programs take a refusal of this class for one of the app's, which is about one row.
  if program < knows_media!()
     and exists (select from public.scheduled_messages m where m.id = new.message_id and cardinality(m.media_urls) > 0)
  then
    raise exception using
      message = format('a daemon of program number %s does not know the media of message %s', program, new.message_id),
      hint = 'Start the version that migrated the schema.';
  end if;
  return new;
end
$$;

-- Of a claim by this program one comparison of two texts.
create or replace trigger punctual_this_program_is_too_old
  before insert on punctual.attempts for each row
  when (new.outcome is null
        and current_setting('punctual.writer', true) = 'on'
        and coalesce(current_setting('punctual.program', true), '') <> 'program!()')
  execute function punctual.this_program_is_too_old();

-- How bad the refusal of an attempt is, for people: `select punctual.severity(a), a.* from punctual.attempts a`. Null:
-- it was not refused.
create or replace function punctual.severity(attempt punctual.attempts) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select severity!(attempt)
$$;
