//! Faults of the database, and of the connection to it.

use std::time::Instant;

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::Migrator;
use tokio::net::TcpListener;

use super::{SECOND, load, recovered, report, world};
use crate::crash::world::{Kind, World};
use crate::harness::{dsn, prepare_for_feeds, session, settings_for_feeds};
use crate::proxy::{Proxy, Way};
use crate::twilio::{Book, Fault, Habits};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn stopped_in_a_burst() {
    let options = Options {
        settings: settings_for_feeds(),
        ..Options::default()
    };
    let start = || PrivatePostgres::start(options).unwrap();
    let mut server = tokio::task::spawn_blocking(start).await.unwrap();
    let own = dsn(&server, "postgres");
    Migrator::embedded().run(&own).await.unwrap();
    prepare_for_feeds(&own).await;
    let kind = Kind {
        instances: 1,
        journal: false,
        callbacks: true,
    };
    let habits = Habits {
        faults: vec![(1_000, Fault::Slow(SECOND / 5))],
        ..Habits::default()
    };
    let url = server.url("postgres");
    let mut world = World::over(url, session(&own).await, kind, habits).await;
    world.up().await;
    world.insert(500, "burst", SECOND, 6 * SECOND).await;
    let some = |book: &Book| (book.asks() >= 150).then_some(());
    world.twilio.until("the burst is on its way", some).await;
    tokio::task::block_in_place(|| server.restart(Shutdown::Immediate)).unwrap();
    let began = Instant::now();
    world.app = session(&own).await;
    world.daemon(0).ready().await;
    let ready = began.elapsed();
    let back = recovered(&world).await;
    let note = format!("ready {ready:.1?} after it was back");
    report(
        &mut world,
        "database stopped `-m immediate` in a burst",
        ready + back,
        &note,
    )
    .await;
}

/// A world that reaches the database through a proxy.
async fn behind_a_proxy() -> (World, Proxy, String) {
    let world = world(1).await;
    let url: url::Url = world.url.parse().unwrap();
    let target = format!("127.0.0.1:{}", url.port().unwrap());
    let proxy = Proxy::to(target.clone()).await;
    let mut through = url.clone();
    through.set_port(Some(proxy.port())).unwrap();
    let mut world = world.with("DATABASE_URL", through.as_str());
    world.up().await;
    (world, proxy, target)
}

/// Connections are refused, and those there were are closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn gone_for_40_s() {
    let (mut world, proxy, target) = behind_a_proxy().await;
    let app = world.session().await;
    let (back, proxy) = {
        let (world, loading) = (&world, load(&app, 20, 50 * SECOND));
        let gone = async {
            tokio::time::sleep(4 * SECOND).await;
            let port = proxy.port();
            drop(proxy);
            tokio::time::sleep(40 * SECOND).await;
            let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
            let proxy = Proxy::over(listener, target);
            (recovered(world).await, proxy)
        };
        tokio::join!(loading, gone).1
    };
    let note = "requests of the moment are recorded when it is back";
    report(&mut world, "database gone for 40 s", back, note).await;
    drop(proxy);
}

/// Nothing is reset, nothing comes any more, on all connections there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn half_open() {
    let (mut world, proxy, _) = behind_a_proxy().await;
    let app = world.session().await;
    let back = {
        let (world, loading) = (&world, load(&app, 20, 25 * SECOND));
        let cut = async {
            tokio::time::sleep(4 * SECOND).await;
            let both = [Way::Up, Way::Down];
            let silenced = proxy.silence(false, &both) + proxy.silence(true, &both);
            assert!(silenced > 1);
            // Until the first message after the cut has found its way, and then all.
            tokio::time::sleep(SECOND).await;
            SECOND + recovered(world).await
        };
        tokio::join!(loading, cut).1
    };
    let note = "from the cut; every connection silent both ways";
    report(&mut world, "half-open connections", back, note).await;
}
