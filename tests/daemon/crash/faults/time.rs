//! Clocks that are stepped, and processes that are suspended.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{SECOND, load, recovered, report, world};

/// Where Debian's package `faketime` has it, on any architecture.
fn faketime() -> Option<String> {
    let lib = std::fs::read_dir("/usr/lib").ok()?;
    lib.filter_map(|dir| Some(dir.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .find(|library| library.exists())
        .map(|library| library.to_str().unwrap().to_owned())
}

/// By renaming, so that nobody reads half of it.
fn set_clock(file: &Path, offset: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, offset).unwrap();
    std::fs::rename(&next, file).unwrap();
}

/// The wall clock under the daemon jumps, stays there for 10 s, and jumps back.
async fn check(offset: &str) {
    let Some(library) = faketime() else {
        println!("SKIPPED: no libfaketime (Debian: apt-get install faketime)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let clock = dir.path().join("clock");
    set_clock(&clock, "+0");
    let mut world = world(1)
        .await
        .with("LD_PRELOAD", &library)
        .with("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
        .with("FAKETIME_NO_CACHE", "1")
        .with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    world.up().await;
    let app = world.session().await;
    let back = {
        let (world, loading) = (&world, load(&app, 20, 20 * SECOND));
        let jump = async {
            tokio::time::sleep(4 * SECOND).await;
            set_clock(&clock, offset);
            let first = recovered(world).await;
            tokio::time::sleep(10 * SECOND).await;
            set_clock(&clock, "+0");
            tokio::time::sleep(SECOND / 2).await;
            first.max(recovered(world).await)
        };
        tokio::join!(loading, jump).1
    };
    let note = "and back again after 10 s";
    report(&mut world, &format!("wall clock {offset}"), back, note).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn clock_an_hour_ahead() {
    check("+1h").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn clock_an_hour_behind() {
    check("-1h").await;
}

/// One of two. What it held goes to nobody: it may have gone out, for all that others know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn stopped_for_60_s() {
    let mut world = world(2).await;
    world.up().await;
    let app = world.session().await;
    let back = {
        let loading = load(&app, 20, 70 * SECOND);
        let stopped = async {
            tokio::time::sleep(4 * SECOND).await;
            world.daemon(0).signal(Signal::STOP);
            let began = Instant::now();
            tokio::time::sleep(60 * SECOND).await;
            world.daemon(0).signal(Signal::CONT);
            assert!(began.elapsed() >= Duration::from_secs(60));
            recovered(&world).await
        };
        tokio::join!(loading, stopped).1
    };
    let note = "from its going on; the other one went on throughout";
    report(&mut world, "SIGSTOP for 60 s, one of two", back, note).await;
}
