//! `kill -9` in the middle of a herd: how many messages it leaves claimed that were never begun.

use std::time::Duration;

use punctual::limits::Limits;

use crate::crash::world::{Kind, World};
use crate::twilio::{Book, Habits};

/// Due at one instant: after a quarter of them, more are left than may be claimed ahead with a journal.
const HERD: usize = 8_000;
/// Requests at once.
const IN_FLIGHT: usize = 50;

/// Kills it once this many of the herd were answered: claimed, and not asked for at the provider.
async fn never_begun(journal: bool) -> usize {
    let kind = Kind {
        instances: 1,
        journal,
        callbacks: false,
    };
    let world = World::new(kind, Habits::default()).await;
    let mut world = world.with("PUNCTUAL_MAX_IN_FLIGHT", &IN_FLIGHT.to_string());
    world.up().await;
    let due = Duration::from_secs(5);
    world.insert(HERD, "herd", due, due).await;
    let some = |book: &Book| (book.answers() >= HERD / 4).then_some(());
    world.twilio.until("a quarter is answered", some).await;
    let kill = world.kill(0, "in a herd").await;
    let never = kill.open.values().filter(|asked| !**asked).count();
    println!(
        "figure: journal {journal}: {} claimed, {never} of them never begun",
        kill.open.len()
    );
    never
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_a_herd_leaves_few_that_never_began() {
    let limits = Limits::default().claims;
    // What is promised (`docs/reliability.md`).
    assert_eq!(limits.ahead_max, 300);
    // What had begun may not have arrived yet.
    let never = never_begun(false).await;
    assert!(never <= limits.ahead_max + IN_FLIGHT, "{never}");
    let never = never_begun(true).await;
    assert!(
        never <= limits.ahead_max_with_journal + IN_FLIGHT,
        "{never}"
    );
}
