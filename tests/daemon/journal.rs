//! What a daemon's journal shows the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use punctual::message::InstanceId;
use punctual::store::Store;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::daemon::{Daemon, until};
use crate::standin::Act;
use crate::world::{World, admin, asked};

/// Longer than any start takes.
const LONG_LEASE: &str = "120s";

/// A world whose daemons keep a journal, one request at a time.
async fn journaling(script: impl IntoIterator<Item = Act>) -> (World, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(script).await.with(&[
        ("PUNCTUAL_STATE_DIR", dir.path().to_str().unwrap()),
        ("PUNCTUAL_MAX_IN_FLIGHT", "1"),
        // Longer than a machine stalls: no request times out before the test has gone on.
        ("PUNCTUAL_SEND_TIMEOUT", "50s"),
        ("PUNCTUAL_LEASE", LONG_LEASE),
    ]);
    (world, dir)
}

async fn claimed(world: &World, id: Uuid) {
    world.becomes(id, "sending").await;
}

/// What a daemon that was killed had begun, and what waited for a free place.
async fn left_by_a_killed_one(world: &World) -> (Uuid, Uuid) {
    let mut daemon = world.daemon().await;
    let begun = world.insert("begun", 200).await;
    asked(&world.phone, 1).await;
    let waits = world.insert("waits", 1).await;
    claimed(world, waits).await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;
    (begun, waits)
}

/// One request is on its way, one waits for a free place: killed, the one is unconfirmed and the
/// other is sent, as soon as the next daemon runs. No lease is waited for.
#[tokio::test]
async fn what_never_began_is_sent_and_what_began_is_unconfirmed_at_once() {
    let (world, _dir) = journaling([Act::Silence]).await;
    let (begun, waits) = left_by_a_killed_one(&world).await;

    let killed = Instant::now();
    let daemon = Daemon::start(&world.env);
    world.arrived_once(waits).await;
    let row = world.becomes(begun, "unconfirmed").await;
    let took = killed.elapsed();
    println!("figure: killed with a journal: settled {took:.1?} after the next start");
    assert!(took < Duration::from_secs(120), "{took:?}");
    assert!(row.error.unwrap().contains("died before the answer came"));
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 2);
}

/// The same after somebody has called them unknown already.
#[tokio::test]
async fn what_was_reaped_and_never_began_is_sent_after_all() {
    let (world, _dir) = journaling([Act::Silence]).await;
    let (begun, waits) = left_by_a_killed_one(&world).await;
    reaped(&world, &[begun, waits], Leases::Ended).await;

    let daemon = world.daemon().await;
    world.arrived_once(waits).await;
    assert_eq!(world.row(begun).await.unwrap().status, "unconfirmed");
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 2);
}

#[derive(PartialEq, Eq)]
enum Leases {
    Ended,
    Awaited,
}

/// Calls dead whatever runs in this world, and has these reaped. `leases`: of a process that was killed they need not
/// be waited for.
async fn reaped(world: &World, ids: &[Uuid], leases: Leases) {
    let store = Store::new(world.db.dsn().pool(1), InstanceId::fresh());
    store.instance_start("notify").await.unwrap();
    let age = "update punctual.instances
                  set started_at = started_at - interval '1 h',
                      heartbeat_at = heartbeat_at - case when id = $1 then interval '0' else interval '1 h' end;";
    world
        .app
        .execute(age, &[&store.instance().0])
        .await
        .unwrap();
    if leases == Leases::Ended {
        let end = "update punctual.attempts set lease_until = clock_timestamp() where message_id = any ($1)";
        world.app.execute(end, &[&ids]).await.unwrap();
    }
    until("their leases are over, and they are reaped", async || {
        store.reap(Duration::from_millis(100), 1_000).await.unwrap();
        let left =
            "select count(*) from scheduled_messages where id = any ($1) and status = 'sending'";
        let left: i64 = world.app.query_one(left, &[&ids]).await.unwrap().get(0);
        (left == 0).then_some(())
    })
    .await;
    for id in ids {
        assert_eq!(world.row(*id).await.unwrap().status, "unconfirmed");
    }
}

/// Suspended for longer than its leases, and taken for dead: it sends nothing of what it held
/// under those, and the proof that it had is merged all the same.
#[tokio::test]
async fn suspended_past_its_lease_it_sends_nothing_it_held_and_proof_still_counts() {
    let answers = Arc::new(Notify::new());
    let (world, _dir) = journaling([Act::AcceptWhen(Arc::clone(&answers)), Act::Silence]).await;
    // Really over at the end, because it judges by a clock of its own.
    // One place: what is claimed behind the silent one has not begun when the process is stopped, however late that is.
    let world = world.with(&[
        ("PUNCTUAL_MAX_IN_FLIGHT", "1"),
        ("PUNCTUAL_SEND_TIMEOUT", "5s"),
        ("PUNCTUAL_LEASE", "10500ms"),
    ]);
    let mut holder = world.db.client().await;
    let daemon = world.daemon().await;
    // One after the other, so that each has the answer that is meant for it.
    let accepted = world.insert("accepted", 200).await;
    asked(&world.phone, 1).await;
    let silent = world.insert("silent", 200).await;
    let held = world.insert("held", 400).await;
    // Nobody can record what comes of it while its row is held.
    let tx = holder.transaction().await.unwrap();
    let lock = "select from scheduled_messages where id = $1 for update";
    tx.execute(lock, &[&accepted]).await.unwrap();
    answers.notify_one();
    asked(&world.phone, 2).await;
    claimed(&world, held).await;
    daemon.signal(Signal::STOP);
    // What it had asked before is over by then, so it cannot record anything when the row is free.
    until("its statements have ended", async || {
        let busy = "select count(*) from pg_stat_activity
                     where datname = current_database() and state = 'active' and pid <> pg_backend_pid()";
        let busy: i64 = world.app.query_one(busy, &[]).await.unwrap().get(0);
        (busy == 0).then_some(())
    })
    .await;
    tx.rollback().await.unwrap();
    reaped(&world, &[accepted, silent, held], Leases::Awaited).await;
    daemon.signal(Signal::CONT);

    world.arrived_once(accepted).await;
    // Its own journal knows that it never began: claimed again, it is sent.
    world.arrived_once(held).await;
    assert_eq!(world.row(silent).await.unwrap().status, "unconfirmed");
    let attempts = "select count(*) from punctual.attempts where message_id = $1";
    let attempts: i64 = world
        .app
        .query_one(attempts, &[&held])
        .await
        .unwrap()
        .get(0);
    assert_eq!(attempts, 2);
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 3);
}

/// Nobody gets in, and nobody who was in stays.
async fn database_is(world: &World, there: bool) {
    let name = world.app.query_one("select current_database()", &[]).await;
    let name: String = name.unwrap().get(0);
    let own: i32 = world
        .app
        .query_one("select pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    let admin = admin().await;
    let allow = "update pg_database set datallowconn = $1 where datname = $2";
    admin.execute(allow, &[&there, &name]).await.unwrap();
    let end =
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> $2";
    admin.execute(end, &[&name, &own]).await.unwrap();
}

/// The provider takes it, the database is away, the daemon is killed, and so is the next one,
/// which finds no database: the answer is in the journal for as long as it takes.
#[tokio::test]
async fn an_answer_outlives_the_database_and_the_process() {
    let answers = Arc::new(Notify::new());
    let (world, _dir) = journaling([Act::AcceptWhen(Arc::clone(&answers))]).await;
    let mut daemon = world.daemon().await;
    let id = world.insert("proof in the journal", 200).await;
    asked(&world.phone, 1).await;
    database_is(&world, false).await;
    answers.notify_one();
    daemon.says("outcomes could not be recorded yet").await;
    daemon.signal(Signal::KILL);
    daemon.ended().await;

    let mut daemon = Daemon::start(&world.env);
    daemon.says("waiting for it").await;
    database_is(&world, true).await;
    daemon.ready().await;
    world.arrived_once(id).await;
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 1);
}
