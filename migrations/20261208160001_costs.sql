-- What texts cost a day, where a price table is set (triggers/costs.sql, docs/guards.md). Amounts are billionths of one
-- currency.
insert into punctual.migrations (version, name, checksum)
values (20261208160001, 'migrations/20261208160001_costs.sql', '')
on conflict (version) do nothing;

-- What is counted of a day: of the installation one row, whose `what` is empty.
create table if not exists punctual.cost_days (
  day    date not null,
  scope  text not null check (scope in ('installation', 'campaign', 'user')),
  what   text not null,
  amount bigint not null,
  primary key (day, scope, what)
);

-- What each request was counted as, until its day is over.
create table if not exists punctual.costs (
  token      uuid primary key,
  day        date not null,
  campaign   text,
  user_id    text,
  amount     bigint not null,
  -- Its attempt has sent nothing, or its price is known: the count is to be corrected.
  is_changed boolean not null default false
);
create index if not exists costs_day_idx on punctual.costs (day);
create index if not exists costs_changed_idx on punctual.costs (token) where is_changed;

revoke all on punctual.cost_days, punctual.costs from PUBLIC;
