//! Half-open connections: nothing is reset, nothing comes any more. Only whoever asks and
//! counts the seconds can find out.

use std::time::Instant;

use crate::daemon::{set, until};
use crate::proxy::{Proxy, Way};
use crate::world::World;

/// A world whose daemon reaches the database through a proxy.
async fn behind_a_proxy() -> (World, Proxy) {
    let mut world = World::new([]).await;
    let port = crate::harness::cluster().port();
    let proxy = Proxy::to(format!("127.0.0.1:{port}")).await;
    let (_, url) = world.env.iter().find(|(n, _)| n == "DATABASE_URL").unwrap();
    let url = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    set(&mut world.env, "DATABASE_URL", &url);
    (world, proxy)
}

/// What is armed, due during the silence, and what was inserted unheard of: both go out, once.
async fn check(listeners: bool, ways: &[Way], within_s: u64) {
    let (world, proxy) = behind_a_proxy().await;
    let mut daemon = world.daemon().await;
    let before = world.insert("sent before", 100).await;
    world.arrived_once(before).await;
    let armed = world.insert("armed before", 2_000).await;
    until("it is armed", async || {
        let report = daemon.timers(&format!("id={armed}")).await;
        report["timers"].get(0).map(drop)
    })
    .await;

    assert!(proxy.silence(listeners, ways) > 0);
    let began = Instant::now();
    let unheard = world.insert("unheard of", 1_000).await;
    if listeners {
        daemon.readyz(503).await;
        let noticed = began.elapsed();
        println!("figure: half-open listener, {ways:?}: noticed after {noticed:.1?}");
        // Every 5 s a proof that may take 3 s; the rest is for a busy machine.
        assert!(noticed.as_secs() < 25, "{noticed:?}");
    }
    for id in [armed, unheard] {
        world.arrived_once(id).await;
    }
    daemon.ready().await;
    let done = began.elapsed();
    println!(
        "figure: half-open, listener={listeners} {ways:?}: \
         both messages out and ready again after {done:.1?}"
    );
    assert!(
        done.as_secs() < within_s,
        "listener={listeners} {ways:?}: {done:?}"
    );
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 3);
}

/// Side by side, for they mostly wait.
///
/// What waits for longer than a second is looked after by another session, and all connections
/// are left once one is found mute: less than the patience that a slow server gets. With only the
/// answers cut off, statements take effect: what was claimed so is released.
#[tokio::test]
async fn half_open_connections_are_found_out_and_left() {
    tokio::join!(
        check(true, &[Way::Down], 25),
        check(true, &[Way::Up, Way::Down], 25),
        check(false, &[Way::Down], 10),
        check(false, &[Way::Up, Way::Down], 10),
    );
}

/// Cut in the middle of a record: the server waits for the rest of the transaction, and holds the
/// row meanwhile. It would for half a minute, had the look not ended the session.
#[tokio::test]
async fn a_transaction_that_was_cut_off_gives_its_rows_back() {
    let (world, proxy) = behind_a_proxy().await;
    let slow = "create function slow() returns trigger language plpgsql as
                $$ begin perform pg_sleep(1.5); return new; end $$;
                create trigger slow before insert on messages for each row execute function slow()";
    world.app.batch_execute(slow).await.unwrap();
    let daemon = world.daemon().await;
    let id = world.insert("recorded after all", 300).await;
    let sleeping = "select count(*) from pg_stat_activity
                     where datname = current_database() and wait_event = 'PgSleep'";
    until("its outcome is being written", async || {
        let n: i64 = world.app.query_one(sleeping, &[]).await.unwrap().get(0);
        (n == 1).then_some(())
    })
    .await;
    assert!(proxy.silence(false, &[Way::Up, Way::Down]) > 0);
    let began = Instant::now();
    world.becomes(id, "sent").await;
    let took = began.elapsed();
    println!("figure: cut in the middle of a record: recorded after {took:.1?}");
    assert!(took.as_secs() < 15, "{took:?}");
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 1);
}

/// The whole way is dead for a while, for new connections too, and then delivers what was held
/// up: claims that were given up reach the server after all, and nobody awaits them.
#[tokio::test]
async fn a_way_that_comes_back_delivers_late_and_nothing_is_doubled() {
    let (mut world, proxy) = behind_a_proxy().await;
    set(&mut world.env, "PUNCTUAL_SEND_TIMEOUT", "1s");
    set(&mut world.env, "PUNCTUAL_LEASE", "2100ms");
    let mut daemon = world.daemon().await;
    let mut ids = Vec::new();
    for n in 0..40 {
        ids.push(
            world
                .insert(&format!("while away {n}"), 500 + 250 * n)
                .await,
        );
    }
    proxy.close();
    let reason = daemon.readyz(503).await;
    assert!(reason.contains("not verified"), "{reason}");
    daemon.says("the response to a claim was lost").await;
    proxy.open();
    let began = Instant::now();
    daemon.ready().await;
    let ready = began.elapsed();
    for id in ids {
        world.arrived_once(id).await;
    }
    let done = began.elapsed();
    println!(
        "figure: the whole way dead for 8 s: ready {ready:.1?} after it came back, all out \
         after {done:.1?}"
    );
    assert!(ready.as_secs() < 20, "{ready:?}");
    daemon.stop().await;
    assert_eq!(world.phone.creates().len(), 40);
}
