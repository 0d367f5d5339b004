-- What users were sent on a day, in the app's own count of it (triggers/shown_counts.sql): whose count has changed, and how
-- much of the app's count is Punctual's.
create table if not exists punctual.count_changes (
  id      bigint primary key generated always as identity,
  user_id uuid not null,
  day     date not null
);

create table if not exists punctual.shown_counts (
  user_id uuid not null,
  day     date not null,
  -- So much of the app's count is Punctual's, as long as that was last set to zero at this moment.
  shown   int not null,
  since   timestamptz not null,
  primary key (user_id, day)
);
