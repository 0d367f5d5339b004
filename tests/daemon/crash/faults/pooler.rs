//! Faults of a pooler in transaction mode, behind which daemons poll for changes.

use super::{SECOND, load, recovered, report, world};
use crate::bouncer::before;

/// Killed every few seconds, and away for half a second each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn killed_again_and_again() {
    let world = world(2).await;
    let Some((url, mut bouncer)) = before(&world.url, "transaction", 3).await else {
        return;
    };
    let world = world.with("DATABASE_URL", &url);
    let mut world = world.with("PUNCTUAL_CHANGES", "poll");
    world.up().await;
    let app = world.session().await;
    let kills = async {
        for _ in 0..5 {
            tokio::time::sleep(4 * SECOND).await;
            bouncer.kill();
            tokio::time::sleep(SECOND / 2).await;
            bouncer.again().await;
        }
    };
    tokio::join!(load(&app, 20, 25 * SECOND), kills);
    let back = recovered(&world).await;
    report(
        &mut world,
        "pooler killed five times, changes are polled",
        back,
        "two daemons, three sessions",
    )
    .await;
}
