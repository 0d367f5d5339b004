-- The key of the numbers that opted out and were forgotten since (`punctual.forget`): they are kept as a hash. One row,
-- made with the first of them, and the daemon reads it.
create table if not exists punctual.number_key (
  only_one boolean primary key default true check (only_one),
  key      bytea not null
);
revoke all on punctual.number_key from PUBLIC;
