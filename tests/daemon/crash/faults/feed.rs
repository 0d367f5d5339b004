//! Faults of change feeds, of two daemons.

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::Migrator;

use super::{SECOND, load, recovered, report};
use crate::crash::world::{Kind, World};
use crate::harness::{dsn, session};
use crate::twilio::Habits;

/// Their walsenders are ended every few seconds, then the server crashes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn ended_again_and_again() {
    let options = Options {
        settings: vec![("wal_level".into(), "logical".into())],
        ..Options::default()
    };
    let start = || PrivatePostgres::start(options).unwrap();
    let mut server = tokio::task::spawn_blocking(start).await.unwrap();
    let own = dsn(&server, "postgres");
    Migrator::embedded().run(&own).await.unwrap();
    Migrator::embedded().make_feed(&own).await.unwrap();
    let kind = Kind {
        instances: 2,
        journal: false,
        callbacks: true,
    };
    let url = server.url("postgres");
    let world = World::over(url, session(&own).await, kind, Habits::default()).await;
    let mut world = world.with("PUNCTUAL_CHANGES", "feed");
    world.up().await;
    let app = world.session().await;
    let ends = async {
        let end = "select pg_terminate_backend(active_pid) from pg_replication_slots where active";
        for _ in 0..5 {
            tokio::time::sleep(4 * SECOND).await;
            world.app.batch_execute(end).await.unwrap();
        }
    };
    tokio::join!(load(&app, 20, 23 * SECOND), ends);
    tokio::task::block_in_place(|| server.restart(Shutdown::Immediate)).unwrap();
    world.app = session(&own).await;
    let app = world.session().await;
    load(&app, 20, 5 * SECOND).await;
    let back = recovered(&world).await;
    report(
        &mut world,
        "walsenders ended five times, then a crash of the server",
        back,
        "two daemons with change feeds",
    )
    .await;
}
