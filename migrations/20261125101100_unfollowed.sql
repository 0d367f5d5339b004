-- Messages that missed a change of the calendar event they remind of: another transaction held them, or
-- they were on their way. The daemon has them follow once they are free and pending.
create table if not exists punctual.unfollowed (
  message_id        uuid primary key,
  calendar_event_id text not null,
  user_id           uuid not null,
  -- When the event began before the first change that was missed; null: that is not known.
  was               timestamptz,
  noted_at          timestamptz not null default clock_timestamp(),
  -- When the table last refused that it follows.
  refused_at        timestamptz
);
