//! The database's clock jumps, and nothing else does: no message goes early, and none is cancelled as too late.
//! A Postgres under Debian's `faketime`; without it these print `SKIPPED`.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use punctual::demo::postgres::{Options, PrivatePostgres};
use punctual::store::Migrator;
use tempfile::TempDir;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
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

struct World {
    server: PrivatePostgres,
    clock: PathBuf,
    app: Client,
    phone: StandIn,
    _dir: TempDir,
}

impl World {
    /// `None`: there is no such library here.
    async fn new() -> Option<Self> {
        let Some(library) = faketime() else {
            println!("SKIPPED: no libfaketime (Debian: apt-get install faketime)");
            return None;
        };
        drop(admin().await);
        let dir = tempfile::tempdir().unwrap();
        let clock = dir.path().join("clock");
        set_clock(&clock, "+0");
        let bin = programs(dir.path(), &library, &clock);
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
            clock,
            _dir: dir,
        })
    }

    fn daemon(&self, args: &[&str]) -> Daemon {
        let env = environment(&self.server.url("postgres"), &self.phone.url());
        Daemon::start_with(args, &env)
    }

    fn set(&self, offset: &str) {
        set_clock(&self.clock, offset);
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
