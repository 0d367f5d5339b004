//! A crash loop: a daemon without a journal that is killed every 1.15 s under load. What callbacks or the
//! provider's list can tell of the messages that it was sending is settled within a minute.
//!
//! ```sh
//! cargo test --test daemon crash::in_a_loop -- --nocapture                            # as in the default suite
//! PUNCTUAL_LOOP_KILLS=100 cargo test --test daemon crash::in_a_loop -- --nocapture
//! ```

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::crash::judge::{Verdict, judge};
use crate::crash::world::{Kind, World, insert};
use crate::twilio::{Fault, Habits, Odds};

/// In the default suite.
const KILLS: usize = 10;

const EVERY: Duration = Duration::from_millis(1_150);

/// Texts a second.
const RATE: usize = 40;

const MS: Duration = Duration::from_millis(1);

async fn check(callbacks: bool) -> Verdict {
    let kills = std::env::var("PUNCTUAL_LOOP_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let kind = Kind {
        instances: 1,
        journal: false,
        callbacks,
    };
    let habits = Habits {
        // So that there is always something in flight.
        faults: vec![(1_000, Fault::Slow(150 * MS))],
        odds: if callbacks {
            Odds::NONE
        } else {
            Odds::ALL_LOST
        },
        ..Habits::default()
    };
    let mut world = World::new(kind, habits).await;
    world.up().await;
    let stop = CancellationToken::new();
    let app = world.session().await;
    let until = stop.clone();
    let load = async move {
        let mut tick = interval(250 * MS);
        while !until.is_cancelled() {
            tick.tick().await;
            insert(&app, RATE / 4, "loop", 250 * MS, 500 * MS).await;
        }
    };
    let killing = async {
        let mut next = interval(EVERY);
        // One that starts late is not killed at once.
        next.set_missed_tick_behavior(MissedTickBehavior::Delay);
        next.tick().await;
        for _ in 0..kills {
            next.tick().await;
            world.kill(0, "in a loop").await;
            world.up().await;
        }
        stop.cancel();
    };
    tokio::join!(load, killing);
    let name = format!("crash loop, callbacks: {callbacks}");
    let verdict = judge(&mut world, &name).await;
    println!("figure: {name}: {verdict}");
    world.stop().await;
    assert!(verdict.owed > 0, "no kill cut anything off: {verdict}");
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_loop_sent_is_settled_by_the_list_alone() {
    let verdict = check(false).await;
    assert!(verdict.is_settled(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_loop_sent_is_settled_by_callbacks_and_the_list() {
    let verdict = check(true).await;
    assert!(verdict.is_settled(), "{verdict}");
}
