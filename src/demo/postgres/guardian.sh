# Stands beside a private Postgres and ends it when the program that started it is gone,
# however it went. $1 is the directory that holds the cluster in `data`.
#
# Its standard input is a pipe whose other end only that program holds: the kernel closes it
# at an exit, a panic and a kill -9 alike. A signal sent to the program's group must not end
# this one first.
trap '' HUP INT TERM
cat >/dev/null

data=$1/data

# The process that holds the cluster: the pid file's first line (initdb writes it negated).
# Where /proc shows it, it must also work in our directory: pids are used again.
holder() {
    pid=$(head -n 1 "$data/postmaster.pid" 2>/dev/null) || return 1
    pid=${pid#-}
    [ -n "$pid" ] || return 1
    [ ! -e /proc/self/cwd ] || [ "$(readlink "/proc/$pid/cwd")" = "$data" ]
}

# Postgres removes the pid file as it ends, so that is what is waited for: whoever inherits
# the process may be slow to collect it. At most five seconds for each, ever less polite.
for signal in INT QUIT KILL; do
    tries=0
    while [ "$tries" -lt 100 ] && holder; do
        [ "$tries" -gt 0 ] || kill -s "$signal" "$pid" 2>/dev/null || break
        sleep 0.05
        tries=$((tries + 1))
    done
done

# An initdb that was under way may still be writing for a moment.
tries=0
until rm -rf "$1" 2>/dev/null || [ "$tries" -ge 100 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
