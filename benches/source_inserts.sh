#!/bin/bash
# How many rows a second an app inserts into its own table, alone and followed by messages (docs/source-tables.md), for
# each preset: with ROWS rows there, which are due in 30 days. One client and eight, in turns.
#
#     DATABASE_URL=postgres://postgres@127.0.0.1:5432/postgres benches/source_inserts.sh [ROUNDS] [SECONDS] [ROWS]
#
# The role must be able to create databases; two are made for each preset, and dropped in the end. PUNCTUAL is the program.
set -euo pipefail
rounds=${1:-3} seconds=${2:-10} rows=${3:-1000000}
punctual=${PUNCTUAL:-target/release/punctual}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
at() { echo "${DATABASE_URL%/*}/$1"; }
sql() { psql -qAt -v ON_ERROR_STOP=1 -d "$(at "$1")" -c "$2"; }

buildos="insert into scheduled_sms_messages (user_id, message_content, message_type, scheduled_for, timezone, status)
  values ('11111111-1111-4111-8111-111111111111', 'Standup in 15 minutes', 'event_reminder', now() + interval '30 days', 'UTC', 'scheduled')"
campaign="insert into public.scheduled_messages (phone_number, customer_name, message_content, scheduled_for, campaign_name)
  values ('+13105551234', 'Ada Example', 'Hello', now() + interval '30 days', 'spring')"

for preset in buildos campaign; do
  echo "${!preset};" > "$dir/$preset.sql"
  for kind in alone followed; do
    db="source_inserts_${preset}_$kind"
    sql postgres "drop database if exists $db" 2> /dev/null
    sql postgres "create database $db"
    export PUNCTUAL_SCHEMA=public
    [ $preset = buildos ] || export PUNCTUAL_SCHEMA=punctual_app
    [ $preset = campaign ] || sql "$db" "create table users (id uuid primary key);
      insert into users values ('11111111-1111-4111-8111-111111111111')"
    DATABASE_URL=$(at "$db") "$punctual" migrate --preset $preset > /dev/null
    [ $preset = campaign ] || sql "$db" "insert into user_sms_preferences (user_id, phone_number, phone_verified)
      values ('11111111-1111-4111-8111-111111111111', '+13105551234', true)"
    if [ $kind = alone ]; then
      for source in buildos_sms buildos_scheduled campaign; do
        case $source in $preset*) DATABASE_URL=$(at "$db") "$punctual" migrate --unfollow $source > /dev/null ;; esac
      done
    fi
    left=$rows
    while [ "$left" -gt 0 ]; do
      n=$((left < 50000 ? left : 50000))
      sql "$db" "set synchronous_commit = off; $(sed "s/values (\(.*\));/select \1 from generate_series(1, $n)/" <<< "$(tr -d '\n' < "$dir/$preset.sql")")"
      left=$((left - n))
    done
    sql "$db" "vacuum analyze"
  done
done

echo "preset,clients,table,round,inserts a second,p50 ms,p99 ms"
for preset in buildos campaign; do
  for clients in 1 8; do
    for round in $(seq "$rounds"); do
      for kind in alone followed; do
        rm -f "$dir"/log.*
        rate=$(pgbench -n -M prepared -c "$clients" -j 2 -T "$seconds" -l --log-prefix="$dir/log" -f "$dir/$preset.sql" \
                 "$(at "source_inserts_${preset}_$kind")" 2> /dev/null | sed -n 's/^tps = \([0-9]*\).*/\1/p')
        cat "$dir"/log.* | awk '{print $3}' | sort -n > "$dir/times"
        n=$(wc -l < "$dir/times")
        of() { sed -n "$((n * $1 / 100 + 1))p" "$dir/times" | awk '{printf "%.2f", $1 / 1000}'; }
        echo "$preset,$clients,$kind,$round,$rate,$(of 50),$(of 99)"
      done
    done
  done
done
for preset in buildos campaign; do
  for kind in alone followed; do sql postgres "drop database source_inserts_${preset}_$kind"; done
done
