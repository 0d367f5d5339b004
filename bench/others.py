"""Messages of others beside a load: one every 20 ms, and how late each of them is."""

import collections
import json
import os
import subprocess
import threading
import time
import urllib.request

import psycopg

from harness import BIN, cpu_seconds, free_port, proc_stat

TOKEN = "0123456789abcdef0123"
EVERY_S = 0.02
# Of the server, with which `Profile` works: PROFILE=1 lists what Postgres spends the time on.
PROFILED = ({"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all"}
            if os.environ.get("PROFILE") else None)


class Profile:
    """What Postgres spends the time on, since the last reset; nothing without PROFILE=1."""

    def __init__(self, db):
        self.db = db
        if PROFILED:
            db.execute("create extension pg_stat_statements")

    def reset(self) -> None:
        if PROFILED:
            self.db.execute("select pg_stat_statements_reset()")

    def print(self) -> None:
        if PROFILED:
            for row in self.db.execute("select calls, round(total_exec_time::numeric), round(mean_exec_time::numeric, 2), rows, shared_blks_hit, wal_bytes, "
                                       "left(regexp_replace(query, '\\s+', ' ', 'g'), 150) from pg_stat_statements order by total_exec_time desc limit 24"):
                print(*row, sep=" | ")


def figures(late: list[float]) -> tuple[float | None, str]:
    """The 99th percentile of milliseconds, and a line for it."""
    late = sorted(late)
    q = lambda x: round(late[int((len(late) - 1) * x)], 2) if late else None
    return q(.99), f"n={len(late)} late p50={q(.5)} p99={q(.99)} max={q(1)} ms"


class Beside:
    """A sink and a daemon on the cluster's database `app`, and others' messages from `start` to `stop`."""

    def __init__(self, cluster, program: str, **settings: str):
        self.cluster, self.program, self.url = cluster, program, cluster.url("app")
        self.sink_port, self.port = free_port(), free_port()
        self.sink = subprocess.Popen([str(BIN / "sink"), "--listen", f"127.0.0.1:{self.sink_port}"], stdout=subprocess.DEVNULL)
        time.sleep(.3)
        self.env = dict(os.environ, DATABASE_URL=self.url, TWILIO_API_BASE_URL=f"http://127.0.0.1:{self.sink_port}",
                        TWILIO_ACCOUNT_SID="AC" + "0" * 32, TWILIO_AUTH_TOKEN="x", TWILIO_SMS_FROM_NUMBER="+18184633772",
                        PUNCTUAL_HTTP_ADDR=f"127.0.0.1:{self.port}", RUST_LOG="error", PUNCTUAL_DEBUG_TOKEN=TOKEN, **settings)
        self.due: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._insert)
        self.priority = None

    def migrate(self, *options: str, **settings: str) -> None:
        subprocess.run([self.program, "migrate", *options], env=dict(self.env, **settings), check=True, stdout=subprocess.DEVNULL)

    def run(self) -> None:
        """Starts the daemon, and waits until it is ready."""
        self.daemon = subprocess.Popen([self.program, "run"], env=self.env)
        while True:
            try:
                self.ask("/readyz")
                return
            except OSError:
                if self.daemon.poll() is not None:
                    raise SystemExit(f"the daemon has ended with {self.daemon.returncode}: it says why above")
                time.sleep(.1)

    def ask(self, path: str) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"authorization": f"Bearer {TOKEN}"})
        return urllib.request.urlopen(request).read().decode()

    def cpu(self) -> tuple[float, float]:
        return cpu_seconds(proc_stat(self.daemon.pid), False), self.cluster.cpu()

    def start(self) -> None:
        self._thread.start()

    def _insert(self) -> None:
        a_second = round(1 / EVERY_S)
        with psycopg.connect(self.url, autocommit=True) as own:
            start = time.time() + 1
            for n in range(10**9):
                time.sleep(max(0, start + n - 1 - time.time()))
                if self._stop.is_set():
                    return
                rows = [(f"+1201{2000000 + i:07d}", str(i), start + n + (i - n * a_second) * EVERY_S, self.priority)
                        for i in range(n * a_second, (n + 1) * a_second)]
                self.due.update((body, at) for _, body, at, _ in rows)
                with own.cursor() as cursor:
                    cursor.executemany("insert into scheduled_messages (to_number, body, scheduled_at, priority) "
                                       "values (%s, %s, to_timestamp(%s), coalesce(%s, 'normal'))", rows)

    def stop(self) -> None:
        """Ends the others, waits for the last of them, and ends the daemon."""
        self._stop.set()
        self._thread.join()
        time.sleep(4)
        self.got: collections.Counter[str] = collections.Counter()
        self._first: dict[str, float] = {}
        for line in urllib.request.urlopen(f"http://127.0.0.1:{self.sink_port}/report").read().decode().splitlines():
            record = json.loads(line)
            self.got[record["key"]] += 1
            self._first.setdefault(record["key"], record["arrival_us"] / 1e6)
        self.daemon.terminate()
        self.daemon.wait(20)
        self.sink.terminate()

    def late(self, begin: float, end: float) -> list[float]:
        """Milliseconds, of the others that were due in between."""
        return [(self._first[key] - at) * 1000 for key, at in self.due.items() if begin <= at < end and key in self._first]

    def once(self) -> bool:
        """Prints whether each of the others has arrived once."""
        one, more = sum(self.got[key] == 1 for key in self.due), sum(self.got[key] > 1 for key in self.due)
        print(f"others: {one} of {len(self.due)} once, {more} twice")
        return (one, more) == (len(self.due), 0)
