//! `kill -9` at any instant, under load, by chance from a seed.
//!
//! ```sh
//! cargo test --test daemon any_instant -- --nocapture              # as in the default suite
//! PUNCTUAL_KILLS=1000    cargo test --test daemon any_instant -- --nocapture
//! PUNCTUAL_KILL_SEED=7   cargo test --test daemon any_instant -- --nocapture   # one world again
//! ```
//!
//! A seed fixes what is scheduled, what the provider does to each text and when kills come, not
//! how the machine's threads meet: a failing one is worth several tries.

use std::env::var;
use std::time::Duration;

use tokio_postgres::Client;

use crate::crash::judge::{Verdict, judge};
use crate::crash::world::{Kind, World, insert};
use crate::dice::Dice;
use crate::twilio::{End, Fault, Habits, Odds, When};

/// In the default suite, in each of its worlds.
const KILLS: usize = 5;

/// Of a longer run: worlds at once, and kills in each.
const AT_ONCE: usize = 5;
const KILLS_LONG: usize = 25;

/// Between two batches of texts.
const BATCH: Duration = Duration::from_millis(200);

const MS: Duration = Duration::from_millis(1);

/// Everything that can go wrong at the provider, each now and then.
fn habits(seed: u64) -> Habits {
    Habits {
        seed,
        faults: vec![
            // So that there is always something in flight.
            (700, Fault::Slow(120 * MS)),
            (20, Fault::Silence(When::After)),
            (10, Fault::Silence(When::Before)),
            (20, Fault::Reset(When::After)),
            (10, Fault::Reset(When::Before)),
            (10, Fault::Error(When::After, 502)),
            (10, Fault::Cut),
            (20, Fault::Busy(None)),
            (10, Fault::Refuse(21211)),
        ],
        ends: vec![(30, End::Undelivered(30005)), (30, End::NoReceipt)],
        odds: Odds::all(100),
        ..Habits::default()
    }
}

/// Texts come without a pause, and now and then somebody cancels one at the last moment.
async fn load(app: &Client, dice: &mut Dice, until: tokio::sync::oneshot::Receiver<()>) {
    let mut until = until;
    let mut tick = tokio::time::interval(BATCH);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = &mut until => return,
        }
        let from = MS * u32::try_from(dice.between(0, 400)).unwrap();
        let rows = insert(app, 1 + dice.below(8), "by chance", from, from * 2).await;
        if dice.chance(200) {
            let sql = "update scheduled_messages set status = 'cancelled',
                              cancel_reason = 'by the user'
                        where id = $1 and status = 'pending'";
            // At the latest moment it is refused, which is right too.
            let _ = app.execute(sql, &[&rows[0].id]).await;
        }
    }
}

async fn check(kind: Kind, seed: u64, kills: usize) -> Verdict {
    let name = format!("seed {seed}, {kind:?}");
    let mut world = World::new(kind, habits(seed)).await;
    world.up().await;
    let (stop, until) = tokio::sync::oneshot::channel();
    let app = world.session().await;
    let mut dice = Dice::new(seed, "load");
    let loading = async { load(&app, &mut dice, until).await };
    let killing = async {
        let mut dice = Dice::new(seed, "kills");
        for _ in 0..kills {
            let at = MS * u32::try_from(dice.between(500, 4_000)).unwrap();
            tokio::time::sleep(at).await;
            let slot = world.any(&mut dice);
            world.kill(slot, &format!("{at:?} later")).await;
            if dice.chance(150) {
                let after = MS * u32::try_from(dice.between(5, 400)).unwrap();
                world.kill_at_start(slot, after).await;
            }
            if dice.chance(300) {
                tokio::time::sleep(MS * u32::try_from(dice.between(0, 1_500)).unwrap()).await;
            }
            world.up().await;
        }
        let _ = stop.send(());
    };
    tokio::join!(loading, killing);
    let verdict = judge(&mut world, &name).await;
    println!("figure: {name}: {verdict}");
    world.stop().await;
    verdict
}

/// The worlds of one run: kind, seed, kills.
fn worlds() -> Vec<(Kind, u64, usize)> {
    let kinds = Kind::all();
    let of = |seed: u64| kinds[usize::try_from(seed).unwrap() % kinds.len()];
    if let Ok(seed) = var("PUNCTUAL_KILL_SEED") {
        let seed = seed.parse().expect("PUNCTUAL_KILL_SEED is a number");
        return vec![(of(seed), seed, KILLS_LONG)];
    }
    let (count, kills) = match var("PUNCTUAL_KILLS") {
        Ok(kills) => {
            let kills: usize = kills.parse().expect("PUNCTUAL_KILLS is a number");
            (kills.div_ceil(KILLS_LONG), KILLS_LONG)
        }
        Err(_) => (kinds.len(), KILLS),
    };
    (0..count as u64)
        .map(|seed| (of(seed), seed, kills))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_instant_doubles_and_loses_nothing() {
    let mut all = Verdict::default();
    for some in worlds().chunks(AT_ONCE) {
        let some = some
            .iter()
            .map(|(kind, seed, kills)| check(*kind, *seed, *kills));
        for verdict in futures_util::future::join_all(some).await {
            all.and(&verdict);
        }
        println!("figure: at any instant, so far: {all}");
    }
    assert!(all.is_settled(), "{all}");
}
