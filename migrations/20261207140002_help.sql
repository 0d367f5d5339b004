-- When somebody who asked for help was answered last, from which sender: so that nobody is answered more than once a day.
insert into punctual.migrations (version, name, checksum)
values (20261207140002, 'migrations/20261207140002_help.sql', '')
on conflict (version) do nothing;

create table if not exists punctual.help_answers (
  our_number   text not null,
  their_number text not null,
  at           timestamptz not null default clock_timestamp(),
  primary key (our_number, their_number)
);

revoke all on punctual.help_answers from PUBLIC;
