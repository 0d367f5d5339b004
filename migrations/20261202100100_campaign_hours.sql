-- The hours of campaigns that have none of their own, as the daemon's settings have them, for functions and views; and
-- when messages were last processed by hand (triggers/campaign_hours.sql).
alter table punctual.settings
  add column if not exists campaign_timezone text not null default 'America/Los_Angeles',
  add column if not exists campaign_hours text not null default 'mon-fri 09:00-20:00',
  add column if not exists campaign_open_from bigint[] not null
    default '{32400000000,118800000000,205200000000,291600000000,378000000000}',
  add column if not exists campaign_open_until bigint[] not null
    default '{72000000000,158400000000,244800000000,331200000000,417600000000}';

create table if not exists punctual.process_calls (
  one boolean primary key default true check (one),
  at  timestamptz not null
);
revoke all on punctual.process_calls from PUBLIC;
