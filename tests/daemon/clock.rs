//! Clocks that jump or are slewed, the database's alone and together with the daemon's: no message is sent early,
//! and none is cancelled as too late. Postgres and the daemon run under Debian's `faketime`; without it these print
//! `SKIPPED`.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::TimeDelta;
use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::store::Migrator;
use tempfile::TempDir;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::daemon::{Daemon, set, until};
use crate::harness::{dsn, session};
use crate::standin::StandIn;
use crate::world::{admin, arrived_once, becomes, environment, heartbeats, insert, row};

/// Where it is, on any architecture.
fn faketime() -> Option<String> {
    let lib = std::fs::read_dir("/usr/lib").ok()?;
    lib.filter_map(|dir| Some(dir.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .find(|library| library.exists())
        .map(|library| library.to_str().unwrap().to_owned())
}

pub(crate) struct World {
    server: PrivatePostgres,
    library: String,
    /// Before it, for daemons: it would move absolute timers on the uptime with the clock.
    timers: PathBuf,
    clock: PathBuf,
    /// The clock of a daemon that has one of its own.
    own_clock: PathBuf,
    pub(crate) app: Client,
    pub(crate) phone: StandIn,
    _dir: TempDir,
}

impl World {
    /// `None`: there is no such library here.
    pub(crate) async fn new() -> Option<Self> {
        let Some(library) = faketime() else {
            println!("SKIPPED: no libfaketime (Debian: apt-get install faketime)");
            return None;
        };
        drop(admin().await);
        let dir = tempfile::tempdir().unwrap();
        let [clock, own_clock] = ["clock", "own_clock"].map(|name| dir.path().join(name));
        set_clock(&clock, "+0");
        set_clock(&own_clock, "+0");
        let bin = programs(dir.path(), &library, &clock);
        let timers = true_timers(dir.path());
        let start = move || {
            let options = Options {
                fsync: false,
                bin: Some(bin),
                ..Options::default()
            };
            PrivatePostgres::start(options).unwrap()
        };
        let server = tokio::task::spawn_blocking(start).await.unwrap();
        let place = dsn(&server, "postgres");
        Migrator::embedded().run(&place).await.unwrap();
        Some(Self {
            app: session(&place).await,
            phone: StandIn::start([]).await,
            server,
            library,
            timers,
            clock,
            own_clock,
            _dir: dir,
        })
    }

    /// The database, for commands and migrations.
    pub(crate) fn url(&self) -> String {
        self.server.url("postgres")
    }

    fn daemon(&self, args: &[&str]) -> Daemon {
        let env = environment(&self.url(), &self.phone.url());
        Daemon::start_with(args, &env)
    }

    /// A daemon whose host has a clock of its own, with these settings.
    pub(crate) fn daemon_with_a_clock(&self, settings: &[(&str, &str)]) -> Daemon {
        let mut env = environment(&self.url(), &self.phone.url());
        for (name, value) in settings {
            set(&mut env, name, value);
        }
        let own_clock = self.own_clock.to_str().unwrap();
        let libraries = format!("{}:{}", self.timers.display(), self.library);
        for (name, value) in [
            ("LD_PRELOAD", libraries.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", own_clock),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ] {
            set(&mut env, name, value);
        }
        Daemon::start(&env)
    }

    fn set(&self, offset: &str) {
        set_clock(&self.clock, offset);
    }

    /// Sets the clocks of the database and of the daemon's host.
    pub(crate) fn set_both(&self, offset: &str) {
        set_clock(&self.clock, offset);
        set_clock(&self.own_clock, offset);
    }
}

/// The server's programs, of which `postgres` has a clock of its own.
fn programs(dir: &Path, library: &str, clock: &Path) -> PathBuf {
    let real = crate::harness::cluster().bin_dir();
    let bin = dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for program in std::fs::read_dir(real).unwrap() {
        let program = program.unwrap();
        if program.file_name() != "postgres" {
            symlink(program.path(), bin.join(program.file_name())).unwrap();
        }
    }
    let script = format!(
        "#!/bin/sh\nexport LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={} FAKETIME_NO_CACHE=1 \
         FAKETIME_DONT_FAKE_MONOTONIC=1\nexec {}/postgres \"$@\"\n",
        clock.display(),
        real.display()
    );
    let postgres = bin.join("postgres");
    std::fs::write(&postgres, script).unwrap();
    for path in [dir, &bin, &postgres] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    bin
}

/// A library whose timers are those of the kernel, built by the linker that Rust uses.
fn true_timers(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("timers.c"), dir.join("timers.so"));
    let text = "#include <sys/syscall.h>\n#include <unistd.h>\n\
                int timerfd_settime(int fd, int flags, const void *next, void *last)\n\
                { return syscall(SYS_timerfd_settime, fd, flags, next, last); }\n";
    std::fs::write(&source, text).unwrap();
    let mut cc = std::process::Command::new("cc");
    let cc = cc
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    assert!(cc.status().unwrap().success(), "cc builds {text}");
    library
}

/// By renaming, so that nobody reads half of it.
fn set_clock(file: &Path, offset: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, offset).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::rename(&next, file).unwrap();
}

async fn jumps(offset: &str, sign: &str) {
    let Some(world) = World::new().await else {
        return;
    };
    let mut daemon = world.daemon(&["run"]);
    daemon.ready().await;
    let mut ids: Vec<Uuid> = Vec::new();
    for n in 1..=100 {
        ids.push(insert(&world.app, &format!("number {n}"), n * 50).await);
    }
    // An hour would make it due, or too late.
    let later = insert(&world.app, "in half an hour", 30 * 60_000).await;
    until("some are sent", async || {
        (world.phone.creates().len() > 10).then_some(())
    })
    .await;
    world.set(offset);
    daemon
        .says(&format!("the database's clock is off by {sign}"))
        .await;
    let ready = daemon.readyz(503).await;
    assert!(ready.contains("--accept-clock"), "{ready}");
    let (_, metrics) = daemon.get("/metrics").await.unwrap();
    assert!(metrics.contains("punctual_clock_known 0\n"), "{metrics}");
    // The chores have come round in the meantime.
    heartbeats(&world.app, 2).await;
    let sent = world.phone.creates().len();
    assert!(sent < ids.len(), "it jumped too late for this machine");
    world.set("+0");
    daemon.ready().await;
    // Sent when due, by the clock that all others agree with; none was cancelled.
    for id in &ids {
        arrived_once(&world.app, &world.phone, *id).await;
    }
    assert_eq!(row(&world.app, later).await.unwrap().status, "pending");
    assert_eq!(world.phone.creates().len(), ids.len());
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_ahead_sends_nothing_early_and_cancels_nothing() {
    jumps("+1h", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_behind_sends_nothing_twice_and_waits() {
    jumps("-1h", "-").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_confirms_the_clock_of_the_database() {
    let Some(world) = World::new().await else {
        return;
    };
    world.set("+1h");
    let id = insert(&world.app, "due by the database's clock", 0).await;
    let mut daemon = world.daemon(&["run"]);
    daemon.says("the database's clock is off by").await;
    daemon.readyz(503).await;
    assert!(daemon.stop().await.contains("--accept-clock"));
    assert_eq!(row(&world.app, id).await.unwrap().status, "pending");
    let mut daemon = world.daemon(&["run", "--accept-clock"]);
    daemon.ready().await;
    becomes(&world.app, id, "sent").await;
    // What is accepted is that clock, and not every one.
    world.set("+3h");
    daemon.says("the database's clock is off by").await;
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_date_of_the_provider_confirms_the_clock_of_the_database_or_does_not() {
    let Some(world) = World::new().await else {
        return;
    };
    let mut daemon = world.daemon(&["run"]);
    daemon.ready().await;
    let id = insert(&world.app, "in half an hour", 30 * 60_000).await;
    world.phone.dated(TimeDelta::zero());
    let before = world.phone.others().len();
    world.set("+1h");
    daemon.says("the database's clock is off by").await;
    until("the provider's date was queried", async || {
        (world.phone.others().len() > before).then_some(())
    })
    .await;
    daemon.readyz(503).await;
    assert_eq!(row(&world.app, id).await.unwrap().status, "pending");
    // Its clock agrees with the database's, and this host's is wrong.
    world.phone.dated(TimeDelta::hours(1));
    daemon
        .says("the provider's date confirms the database's clock")
        .await;
    daemon.ready().await;
    becomes(&world.app, id, "sent").await;
    daemon.stop().await;
    // At a start it is a witness as well.
    let id = insert(
        &world.app,
        "by a clock that only the provider confirms",
        100,
    )
    .await;
    let mut daemon = world.daemon(&["run"]);
    daemon.ready().await;
    becomes(&world.app, id, "sent").await;
    daemon.stop().await;
}

/// By how much a clock is slewed in all, in seconds.
const SLEWED: f64 = 0.06;

/// The longest time that one correction makes up for. A test that had no processor for longer than that would
/// otherwise step the clock.
const CORRECTED_AT_ONCE: Duration = Duration::from_millis(50);

/// Slews by 10 ms a second at most while messages are sent, and checks that none was early by the clock as it was.
async fn slews(world: &World, name: &str, sign: f64, set: impl Fn(&str)) {
    let mut ids = Vec::new();
    for n in 1..=60 {
        ids.push(insert(&world.app, &format!("{name} {n}"), n * 100).await);
    }
    // What the clock was set off by, and since when.
    let mut corrections = vec![(Instant::now(), 0.0_f64)];
    while let Some((at, off)) = corrections.last().copied()
        && off.abs() < SLEWED
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let span = at.elapsed().min(CORRECTED_AT_ONCE);
        let off = off + sign * span.as_secs_f64() / 100.0;
        set(&format!("{off:+.6}"));
        corrections.push((Instant::now(), off));
    }
    for id in ids {
        let row = becomes(&world.app, id, "sent").await;
        let seen = world.phone.creates();
        let mut seen = seen
            .iter()
            .filter(|seen| seen.field("Body") == Some(&row.body));
        let (Some(seen), None) = (seen.next(), seen.next()) else {
            panic!("{} arrived once", row.body);
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let until = corrections.partition_point(|(at, _)| *at <= seen.at);
        let (_, off) = corrections[until.saturating_sub(1)];
        let at = now.saturating_sub(seen.at.elapsed()).as_secs_f64() + off;
        let early = row.due.as_secs_f64() - at;
        // Of the half second at most between two measurements, and what the clock is read late by in this test.
        assert!(early < 0.01, "{} is {early} s early", row.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_slewed_or_that_fails_over_is_followed_and_no_step() {
    let Some(world) = World::new().await else {
        return;
    };
    let mut daemon = world.daemon_with_a_clock(&[]);
    daemon.ready().await;
    slews(&world, "the database's", -1.0, |offset| world.set(offset)).await;
    // Another server takes over, whose clock differs by 200 ms; and back.
    for offset in ["+0.2", "+0"] {
        world.set(offset);
        let id = insert(&world.app, &format!("after a failover to {offset}"), 300).await;
        becomes(&world.app, id, "sent").await;
    }
    slews(&world, "this host's", -1.0, |offset| world.set_both(offset)).await;
    let said = daemon.stop().await;
    for words in ["stepped", "is off by", "known again"] {
        assert!(!said.contains(words), "{said}");
    }
}
