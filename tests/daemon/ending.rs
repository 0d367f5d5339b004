//! The end of a daemon, in good order and otherwise, and the start after it.

use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::until;
use crate::standin::Act;
use crate::world::{World, asked};

#[tokio::test]
async fn a_stop_finishes_what_is_sent_and_gives_the_rest_back() {
    // Two at once, and slow: the rest is claimed and waits for a place.
    let slow = std::iter::repeat_n(Act::AcceptAfter(Duration::from_millis(500)), 40);
    let world = World::new(slow)
        .await
        .with(&[("PUNCTUAL_MAX_IN_FLIGHT", "2")]);
    let mut daemon = world.daemon().await;
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(world.insert(&format!("drain {n}"), 300).await);
    }
    asked(&world.phone, 2).await;
    until("some are claimed and wait", async || {
        let sql = "select count(*) from scheduled_messages where status = 'sending'";
        let n: i64 = world.app.query_one(sql, &[]).await.unwrap().get(0);
        (n > 2).then_some(())
    })
    .await;
    daemon.signal(Signal::TERM);
    let reason = daemon.readyz(503).await;
    assert!(reason.starts_with("shutting down"), "{reason}");
    assert_eq!(daemon.ended().await.code(), Some(0));

    let sent = world.phone.accepted().len();
    let states = "select status, count(*) from scheduled_messages group by 1 order by 1";
    let rows = world.app.query(states, &[]).await.unwrap();
    let states: Vec<(String, i64)> = rows.iter().map(|r| (r.get(0), r.get(1))).collect();
    let sent = i64::try_from(sent).unwrap();
    assert_eq!(
        states,
        [("pending".into(), 20 - sent), ("sent".into(), sent)]
    );
    assert!((2..20).contains(&sent), "{sent}");

    let daemon = world.daemon().await;
    for id in ids {
        world.arrived_once(id).await;
    }
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 20);
}

/// A killed daemon leaves rows that may have gone out: they are unconfirmed, and nobody sends them
/// again. That takes the silence of a dead instance, 20 s, and a cluster older than that.
#[tokio::test]
async fn what_a_killed_daemon_was_sending_is_unconfirmed_and_not_sent_again() {
    let world = World::new([Act::Silence]).await.with(&[
        ("PUNCTUAL_SEND_TIMEOUT", "1s"),
        ("PUNCTUAL_LEASE", "2100ms"),
    ]);
    let mut daemon = world.daemon().await;
    let begun = world.insert("begun", 200).await;
    let far = world.insert("not begun", 3_000).await;
    asked(&world.phone, 1).await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    assert_eq!(world.row(begun).await.unwrap().status, "sending");

    let daemon = world.daemon().await;
    world.arrived_once(far).await;
    // Its lease is over by now, its heartbeat is not stale yet.
    assert_eq!(world.row(begun).await.unwrap().status, "sending");
    let row = world.becomes(begun, "unconfirmed").await;
    assert!(row.error.unwrap().contains("ended before it said"));
    daemon.stop().await;
    assert_eq!(world.requests("begun").len(), 1);
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let world = World::new([Act::Silence]).await;
    let mut daemon = world.daemon().await;
    world.insert("never answered", 100).await;
    asked(&world.phone, 1).await;
    daemon.signal(Signal::TERM);
    daemon.says("shutting down").await;
    // Signals that come together are one: it takes those that follow until it ends.
    let ended = until("it ends", async || {
        daemon.signal(Signal::INT);
        let ended = tokio::time::timeout(Duration::from_millis(300), daemon.ended());
        ended.await.ok()
    })
    .await;
    assert_eq!(ended.code(), Some(143));
}
