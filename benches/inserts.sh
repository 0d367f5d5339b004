#!/usr/bin/env bash
# How many rows a second an app inserts without the check of PUNCTUAL_VALIDATE, with `warn` and with `refuse`: by pgbench,
# in turns, so that whatever else the machine does concerns all three. The rows are due in a month, so none is notified.
#
#   DATABASE_URL=postgres://… benches/inserts.sh [ROUNDS] [SECONDS]
#
# Makes the database `punctual_inserts` on that server and drops it at the end. PUNCTUAL is the program that migrates it.
set -euo pipefail
rounds=${1:-7} seconds=${2:-5}
program=${PUNCTUAL:-target/release/punctual}
: "${DATABASE_URL:?a superuser of a server for tests}"
dir=$(mktemp -d)
psql -qX "$DATABASE_URL" -c 'create database punctual_inserts'
trap 'psql -qX "$DATABASE_URL" -c "drop database punctual_inserts"; rm -r "$dir"' EXIT
url=$(sed -E 's#^(postgres(ql)?://[^/]*)(/[^?]*)?#\1/punctual_inserts#' <<<"$DATABASE_URL")
DATABASE_URL=$url "$program" migrate >/dev/null

insert="insert into scheduled_messages (to_number, body, scheduled_at, timezone)"
row="'+12025550177', 'See you at eight.', now() + interval '30 days', 'Europe/Berlin'"
echo "$insert values ($row);" >"$dir/1.sql"
for size in 100 10000; do echo "$insert select $row from generate_series(1, $size);" >"$dir/$size.sql"; done

# The zones of a daemon, without which no zone is judged.
psql -qX "$url" -c "insert into punctual.days (zone, starts, ends, day)
  select lower(name), now(), now() + interval '1 day', current_date from pg_timezone_names"

for size in 1 100 10000; do
  for _ in $(seq "$rounds"); do
    for mode in none warn refuse; do
      [ "$mode" = none ] && can=disable || can=enable
      psql -qX "$url" -c "truncate scheduled_messages cascade" \
        -c "alter table scheduled_messages $can trigger punctual_validate_insert" \
        -c "delete from punctual.settings" \
        -c "insert into punctual.settings (timezone, validate) values ('UTC', '${mode/none/warn}')" 2>/dev/null
      tps=$(PGOPTIONS='-c synchronous_commit=off' \
        pgbench -n -M prepared -c 1 -T "$seconds" -f "$dir/$size.sql" "$url" | sed -nE 's/^tps = ([0-9.]+).*/\1/p')
      echo "$size $mode $(awk "BEGIN { printf \"%.0f\", $tps * $size }")" | tee -a "$dir/all" >&2
    done
  done
done
# The share is that of the same round, so the load of a moment counts in both.
echo "rows a statement, mode, rows a second, share of the inserts without the check: medians of $rounds rounds of $seconds s"
awk '$2 == "none" { none = $3 } { print $1, $2, $3, $3 / none }' "$dir/all" >"$dir/shares"
for size in 1 100 10000; do
  for mode in none warn refuse; do
    middle() { grep "^$size $mode " "$dir/shares" | cut -d' ' -f"$1" | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
    echo "$size $mode $(middle 3) $(middle 4)"
  done
done
