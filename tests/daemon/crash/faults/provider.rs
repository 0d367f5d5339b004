//! Faults of the provider.

use std::time::Duration;

use super::{SECOND, load, recovered, report, world};
use crate::crash::world::World;
use crate::twilio::{Fault, Habits, When};

/// For 15 s every request meets one of these.
async fn check(what: &str, faults: Vec<(u32, Fault)>, note: &str) {
    let mut world = world(1).await;
    world.up().await;
    let app = world.session().await;
    let back = {
        let (world, loading) = (&world, load(&app, 20, 25 * SECOND));
        tokio::join!(loading, storm(world, faults)).1
    };
    report(&mut world, what, back, note).await;
}

async fn storm(world: &World, faults: Vec<(u32, Fault)>) -> Duration {
    tokio::time::sleep(4 * SECOND).await;
    world.twilio.habits(Habits {
        faults,
        ..Habits::default()
    });
    tokio::time::sleep(15 * SECOND).await;
    world.twilio.habits(Habits::default());
    recovered(world).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn silent() {
    let faults = vec![
        (500, Fault::Silence(When::After)),
        (500, Fault::Silence(When::Before)),
    ];
    let note = "half had taken the text in: callbacks settle those, the others are held";
    check("provider silent for 15 s", faults, note).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "asked for by name"]
async fn throttling() {
    let faults = vec![(1_000, Fault::Busy(None))];
    check(
        "429 to everything for 15 s",
        faults,
        "no attempt is used up",
    )
    .await;
}
