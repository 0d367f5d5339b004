-- Who set, changed and ended pauses and paces: one row for each change (triggers/operator_history.sql).
create table if not exists punctual.operator_history (
  id          bigint generated always as identity primary key,
  at          timestamptz not null default clock_timestamp(),
  kind        text not null check (kind in ('pause', 'pace')),
  scope       text not null,
  what        text not null,
  op          text not null check (op in ('insert', 'update', 'delete')),
  -- As in punctual.history.
  role        text not null,
  actor       text,
  subject     text,
  application text,
  -- The columns that people set, before and after; null: there was none, or there is none.
  old         jsonb,
  new         jsonb
);
create index if not exists operator_history_kind_idx on punctual.operator_history (kind, id);
create index if not exists operator_history_at_idx on punctual.operator_history (at);
