//! What systemd hears of a daemon it started as `Type=notify` with a watchdog.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::world::World;

/// What comes next on the socket; blocks, for at most a while.
async fn heard(socket: &UnixDatagram) -> String {
    let socket = socket.try_clone().unwrap();
    let read = move || {
        let mut text = [0; 256];
        let n = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..n]).trim().to_owned()
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

#[tokio::test]
async fn systemd_hears_of_readiness_of_every_third_of_the_watchdogs_time_and_of_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let world = World::new([]).await.with(&[
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "3000000"),
    ]);
    let daemon = world.daemon().await;
    let mut all = Vec::new();
    while all.iter().filter(|t| *t == "WATCHDOG=1").count() < 3 {
        all.push(heard(&socket).await);
    }
    assert_eq!(all.iter().filter(|t| *t == "READY=1").count(), 1, "{all:?}");
    daemon.signal(Signal::TERM);
    while all.last().is_some_and(|t| t != "STOPPING=1") {
        all.push(heard(&socket).await);
    }
    daemon.stop().await;
}
