//! The faults of `docs/reliability.md`, one test each. They take from seconds to minutes, so
//! they run when asked for; each prints its line of the table.
//!
//! ```sh
//! cargo test --test daemon crash::faults:: -- --ignored --nocapture --test-threads 1 | grep figure:
//! cargo test --test daemon crash::faults::provider::silent -- --ignored --nocapture      # one of them
//! ```

mod crowd;
mod database;
mod feed;
mod pooler;
mod provider;
mod time;

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::crash::judge::{standings, weigh};
use crate::crash::world::{Kind, World, insert};
use crate::twilio::Habits;

const SECOND: Duration = Duration::from_secs(1);

/// Between two batches of the load.
const BATCH: Duration = Duration::from_millis(250);

/// A recovery in which the number of waiting messages has not fallen for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(60);

async fn world(instances: usize) -> World {
    let kind = Kind {
        instances,
        journal: false,
        callbacks: true,
    };
    World::new(kind, Habits::default()).await
}

/// Texts come at so many a second, for so long, each due within the next second.
async fn load(app: &Client, a_second: usize, how_long: Duration) {
    let mut tick = tokio::time::interval(BATCH);
    let began = Instant::now();
    while began.elapsed() < how_long {
        tick.tick().await;
        insert(app, a_second / 4, "load", BATCH, 3 * BATCH).await;
    }
}

/// From now until nothing that is due waits any more.
async fn recovered(world: &World) -> Duration {
    let began = Instant::now();
    let waiting = "select count(*) from scheduled_messages
                    where status in ('pending', 'sending') and body not like 'poison refused%'
                      and scheduled_at < clock_timestamp() - interval '0.5 s'";
    let (mut fewest, mut fell) = (i64::MAX, began);
    loop {
        let n: i64 = world.app.query_one(waiting, &[]).await.unwrap().get(0);
        if n == 0 {
            return began.elapsed();
        }
        if n < fewest {
            (fewest, fell) = (n, Instant::now());
        }
        assert!(fell.elapsed() < STUCK_AFTER, "{n} messages are stuck");
        tokio::time::sleep(BATCH / 5).await;
    }
}

/// Judges the world and prints its line: what happened, rows, lost, doubled, early, unconfirmed,
/// time to recover, lateness at the median, the 99th percentile and the most.
async fn report(world: &mut World, what: &str, recovered: Duration, note: &str) {
    let verdict = weigh(world, what).await;
    let mut late: Vec<Duration> = standings(world)
        .await
        .iter()
        .filter_map(|s| Some(s.asked.first()?.saturating_sub(s.scheduled)))
        .collect();
    late.sort();
    let at = |per_mille: usize| {
        let i = (late.len() * per_mille / 1_000).min(late.len().saturating_sub(1));
        late.get(i).copied().unwrap_or_default()
    };
    let (p50, p99, max) = (at(500), at(990), at(1_000));
    println!(
        "figure: | {what} | {} | {} | {} | {} | {} | {recovered:.1?} | {p50:.1?}, {p99:.1?}, \
         {max:.1?} | {note} |",
        verdict.rows,
        verdict.count("lost"),
        verdict.count("sent twice"),
        verdict.count("sent early"),
        verdict.held,
    );
    assert!(verdict.wrong.is_empty(), "{:?}", verdict.wrong);
    world.stop().await;
}
