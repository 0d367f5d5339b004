#!/usr/bin/env bash
# How many rows that are due in a month an app inserts in a second, one a statement and transaction, with Punctual
# beside the same table without it: by pgbench, in turns, so that whatever else the machine does concerns both.
#
#   DATABASE_URL=postgres://… benches/far_inserts.sh [ROUNDS] [SECONDS]
#
# With 1, 4 and 8 clients, waiting for the disk as the server is set, and without (`synchronous_commit = off`). Makes
# the databases `far_without`, `far_with` and `far_off`, with Punctual and its triggers disabled, on that server and
# drops them at the end. PUNCTUAL is the program that migrates; ROWS how many rows a statement inserts.
set -euo pipefail
rounds=${1:-7} seconds=${2:-3} rows=${ROWS:-1}
program=${PUNCTUAL:-target/release/punctual}
: "${DATABASE_URL:?a superuser of a server for tests}"
dir=$(mktemp -d)
at() { sed -E "s#^(postgres(ql)?://[^/]*)(/[^?]*)?#\1/far_$1#" <<<"$DATABASE_URL"; }
drop() { for it in without with off; do psql -qX "$DATABASE_URL" -c "drop database if exists far_$it" 2>/dev/null; done; }
drop
trap 'drop; rm -r "$dir"' EXIT

# The app's own: its columns, keys and indexes.
app="create table profiles (id uuid primary key default gen_random_uuid());
create table conversations (id uuid primary key default gen_random_uuid(), phone_number text not null,
  contact_id uuid, last_message_at timestamptz, created_at timestamptz not null default now(),
  updated_at timestamptz not null default now());
create table scheduled_messages (id uuid primary key default gen_random_uuid(),
  conversation_id uuid references conversations on delete set null, to_number text not null, from_number text,
  body text not null, scheduled_at timestamptz not null,
  status text not null default 'pending' check (status in ('pending', 'sent', 'failed', 'cancelled')),
  sent_at timestamptz, error_message text, created_by uuid references profiles on delete set null,
  metadata jsonb not null default '{}', created_at timestamptz not null default now(),
  updated_at timestamptz not null default now());
create index on scheduled_messages (status, scheduled_at);
create index on scheduled_messages (conversation_id);
create index on scheduled_messages (created_by);"
for it in without with off; do
  psql -qX "$DATABASE_URL" -c "create database far_$it"
  psql -qX "$(at $it)" -c "$app"
  [ "$it" = without ] && continue
  DATABASE_URL=$(at $it) "$program" migrate >/dev/null
  psql -qX "$(at $it)" -c "insert into punctual.settings (timezone) values ('UTC')"
done
psql -qX "$(at off)" -c "alter table scheduled_messages disable trigger user"
row="'+12025550177', 'See you at eight.', now() + interval '30 days'"
[ "$rows" = 1 ] && what="values ($row)" || what="select $row from generate_series(1, $rows)"
echo "insert into scheduled_messages (to_number, body, scheduled_at) $what;" >"$dir/insert.sql"

middle() { cut -d' ' -f"$1" "$2" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
echo "medians of $rounds rounds of $seconds s, $rows rows a statement: clients, commit, rows a second without, with and
with the triggers off, shares of the same round of the latter two"
for commit in on off; do
  for clients in 1 4 8; do
    : >"$dir/rounds"
    for round in $(seq "$rounds"); do
      # Each goes first as often as the other.
      [ $((round % 2)) = 0 ] && order="with off without" || order="without off with"
      for it in $order; do
        psql -qX "$(at $it)" -c "set client_min_messages = error; truncate scheduled_messages cascade"
        tps=$(PGOPTIONS="-c synchronous_commit=$commit" pgbench -n -M prepared -c "$clients" -T "$seconds" \
          -f "$dir/insert.sql" "$(at $it)" | sed -nE 's/^tps = ([0-9.]+).*/\1/p')
        declare "$it=$tps"
      done
      awk "BEGIN { n = $rows; printf \"%.0f %.0f %.0f %.2f %.2f\n\",
        n * $without, n * $with, n * $off, $with / $without, $off / $without }" | tee -a "$dir/rounds" >&2
    done
    echo "$clients $commit $(for n in 1 2 3 4 5; do middle $n "$dir/rounds"; done | xargs)"
  done
done
