#!/usr/bin/env bash
# How many rows that are due in 90 minutes an app inserts in a second, one a statement and transaction, while a daemon
# learns of each: by notifications, by the change feed, and not at all (`punctual.notify = off`). By pgbench, in turns,
# so that whatever else the machine does concerns all.
#
#   DATABASE_URL=postgres://… benches/near_inserts.sh [ROUNDS] [SECONDS]
#
# The server must have wal_level = logical. Makes the databases `near_off`, `near_notify` and `near_feed` there, and
# drops them at the end. A daemon runs only while its database has its turn: a slot decodes what is written to all.
# PUNCTUAL is the program; CLIENTS how many insert at once; COMMIT what synchronous_commit is for them.
set -euo pipefail
rounds=${1:-7} seconds=${2:-4} clients=${CLIENTS:-8} commit=${COMMIT:-on}
program=${PUNCTUAL:-target/release/punctual}
: "${DATABASE_URL:?a superuser of a server for tests}"
dir=$(mktemp -d)
addr=127.0.0.1:${PORT:-18099}
at() { sed -E "s#^(postgres(ql)?://[^/]*)(/[^?]*)?#\1/near_$1#" <<<"$DATABASE_URL"; }
changes() { [ "$1" = feed ] && echo feed || echo notify; }
drop() { for it in off notify feed; do psql -qX "$DATABASE_URL" -c "drop database if exists near_$it with (force)" 2>/dev/null; done; }
daemon=
drop
trap '[ -z "$daemon" ] || kill "$daemon" 2>/dev/null; drop; rm -r "$dir"' EXIT
for it in off notify feed; do
  psql -qX "$DATABASE_URL" -c "create database near_$it"
  DATABASE_URL=$(at $it) PUNCTUAL_CHANGES=$(changes $it) "$program" migrate >/dev/null
done
psql -qX "$DATABASE_URL" -c "alter database near_off set punctual.notify = 'off'"
echo "insert into scheduled_messages (to_number, body, scheduled_at)
values ('+12025550177', 'See you at eight.', now() + interval '90 minutes');" >"$dir/insert.sql"

# Starts the daemon of a database, until it has what it needs.
start() {
  DATABASE_URL=$(at "$1") PUNCTUAL_CHANGES=$(changes "$1") PUNCTUAL_PROVIDER=console PUNCTUAL_HTTP_ADDR=$addr \
    PUNCTUAL_DEBUG_TOKEN=the-token-of-benches "$program" run >"$dir/daemon" 2>&1 &
  daemon=$!
  for _ in $(seq 300); do
    ready=$(curl -fs -H "authorization: Bearer the-token-of-benches" "http://$addr/readyz" || true)
    [ "$1" = feed ] && want="come by the change feed" || want="ready"
    [[ $ready == *"$want"* ]] && return
    sleep 0.1
  done
  cat "$dir/daemon" >&2
  exit 1
}

middle() { cut -d' ' -f"$1" "$2" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
echo "medians of $rounds rounds of $seconds s, $clients clients, synchronous_commit $commit: rows a second unnotified,
notified, fed, shares of the same round of the latter two"
: >"$dir/rounds"
orders=("off notify feed" "feed off notify" "notify feed off")
for round in $(seq "$rounds"); do
  for it in ${orders[$((round % 3))]}; do
    psql -qX "$(at $it)" -c "set client_min_messages = error; set punctual.notify = 'off'; truncate scheduled_messages cascade"
    start "$it"
    tps=$(PGOPTIONS="-c synchronous_commit=$commit" pgbench -n -M prepared -c "$clients" -T "$seconds" \
      -f "$dir/insert.sql" "$(at $it)" | sed -nE 's/^tps = ([0-9.]+).*/\1/p')
    kill "$daemon"; wait "$daemon" || true; daemon=
    declare "$it=$tps"
  done
  awk "BEGIN { printf \"%.0f %.0f %.0f %.2f %.2f\n\", $off, $notify, $feed, $notify / $off, $feed / $off }" |
    tee -a "$dir/rounds" >&2
done
for n in 1 2 3 4 5; do middle $n "$dir/rounds"; done | xargs
