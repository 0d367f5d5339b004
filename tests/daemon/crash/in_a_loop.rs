//! A crash loop: a daemon without a journal that is killed every 1.15 s under load, or the server, or both. Of the
//! messages that it was sending, what callbacks or the provider's list show is settled within a minute.
//!
//! ```sh
//! cargo test --test daemon crash::in_a_loop -- --nocapture                            # as in the default suite
//! PUNCTUAL_LOOP_KILLS=100 cargo test --test daemon crash::in_a_loop -- --nocapture
//! PUNCTUAL_SERVER_KILLS=30 cargo test --test daemon crash::in_a_loop -- --nocapture
//! ```

use std::time::Duration;

use punctual::demo::postgres::{Options, PrivatePostgres, Shutdown};
use punctual::store::Migrator;
use tokio::time::{MissedTickBehavior, interval};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::crash::judge::judge_with_probes;
use crate::crash::world::{Kind, World, insert};
use crate::harness::{dsn, prepare_for_feeds, session, settings_for_feeds};
use crate::twilio::{Book, Fault, Habits, Odds};

/// In the default suite.
const KILLS: usize = 10;

const EVERY: Duration = Duration::from_millis(1_150);

/// Of the server, in the default suite.
const SERVER_KILLS: usize = 4;

/// Texts a second.
const RATE: usize = 40;

const MS: Duration = Duration::from_millis(1);

fn habits(callbacks: bool) -> Habits {
    Habits {
        // So that there is always something in flight.
        faults: vec![(1_000, Fault::Slow(150 * MS))],
        odds: if callbacks {
            Odds::NONE
        } else {
            Odds::ALL_LOST
        },
        ..Habits::default()
    }
}

async fn check(callbacks: bool) {
    let kills = std::env::var("PUNCTUAL_LOOP_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let kind = Kind {
        instances: 1,
        journal: false,
        callbacks,
    };
    let mut world = World::new(kind, habits(callbacks)).await;
    world.up().await;
    let stop = CancellationToken::new();
    let app = world.session().await;
    let until = stop.clone();
    let load = async move {
        let mut tick = interval(250 * MS);
        while !until.is_cancelled() {
            tick.tick().await;
            // On a busy machine a daemon lives too short to send so many: the rest would wait before each probe.
            if waiting(&app).await < RATE {
                insert(&app, RATE / 4, "loop", 250 * MS, 500 * MS).await;
            }
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
    settles(world, &name).await;
}

/// How many are due and not claimed.
async fn waiting(app: &Client) -> usize {
    let sql = "select count(*) from scheduled_messages where status = 'pending' and scheduled_at < clock_timestamp()";
    let waiting: i64 = app.query_one(sql, &[]).await.unwrap().get(0);
    usize::try_from(waiting).unwrap()
}

async fn settles(mut world: World, name: &str) {
    let verdict = judge_with_probes(&mut world, name).await;
    println!("figure: {name}: {verdict}");
    world.stop().await;
    assert!(verdict.owed > 0, "no kill cut anything off: {verdict}");
    assert!(verdict.is_settled(), "{verdict}");
    assert!(verdict.is_settled_soon(), "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_loop_sent_is_settled_by_the_list_alone() {
    check(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_loop_sent_is_settled_by_callbacks_and_the_list() {
    check(true).await;
}

/// The server alone, the daemon just before it, or just after it while the daemon connects again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_beside_crashes_of_the_server_is_settled() {
    let kills = std::env::var("PUNCTUAL_SERVER_KILLS").map_or(SERVER_KILLS, |n| n.parse().unwrap());
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
    let (url, app) = (server.url("postgres"), session(&own).await);
    let mut world = World::over(url, app, kind, habits(true)).await;
    world.up().await;
    for n in 0..kills {
        insert(&world.app, RATE * 2, "crash", 200 * MS, 2_000 * MS).await;
        let some = |book: &Book| (book.asks() > n * RATE).then_some(());
        world.twilio.until("some are on their way", some).await;
        tokio::time::sleep(EVERY / 2).await;
        if n % 3 == 0 {
            world.kill(0, "before the server").await;
        }
        tokio::task::block_in_place(|| server.restart(Shutdown::Killed)).unwrap();
        world.app = session(&own).await;
        if n % 3 == 1 {
            world.kill(0, "after the server").await;
        }
        world.up().await;
        world.daemon(0).ready().await;
    }
    let name = format!("crash loop, the server {kills} times");
    settles(world, &name).await;
}
