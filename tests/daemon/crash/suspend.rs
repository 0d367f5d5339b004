//! A process that is suspended past its lease: SIGSTOP, a closed lid, a migrated virtual machine.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use crate::crash::judge::{judge, standings};
use crate::crash::world::{Kind, World};
use crate::daemon::until;
use crate::twilio::{Book, Fault, Habits};

const MOMENT: Duration = Duration::from_millis(300);

/// It had requests under way and claims that waited for a place. Meanwhile another instance
/// takes all of them for a dead one's. Then it wakes up: it must not send what it held, and what
/// it had sent is merged, though nobody but itself can show it: no callback comes, and the list
/// does not have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_suspended_past_its_lease_sends_nothing_it_held_and_still_merges_what_it_sent() {
    let kind = Kind {
        instances: 2,
        journal: false,
        callbacks: false,
    };
    let habits = Habits {
        faults: vec![(1_000, Fault::Slow(MOMENT))],
        list_lag: Duration::MAX,
        ..Habits::default()
    };
    let mut world = World::new(kind, habits).await;
    world.start(0).await;
    let rows = world.insert(60, "suspended", MOMENT, MOMENT).await;
    let some = |book: &Book| (book.messages().len() >= 16).then_some(());
    world.twilio.until("all places are taken", some).await;
    let waiting = "select count(*) from punctual.attempts where outcome is null";
    until("some claims wait for a place", async || {
        let open: i64 = world.app.query_one(waiting, &[]).await.unwrap().get(0);
        (open > 16).then_some(())
    })
    .await;
    world.daemon(0).signal(Signal::STOP);
    let (open, asked) = world.open(0).await;
    let mut held: BTreeSet<_> = open.difference(&asked).copied().collect();
    assert!(!asked.is_empty() && !held.is_empty(), "{asked:?} {held:?}");

    world.start(1).await;
    // Not how many: a record that was on its way when it was stopped is committed all the same.
    until("its claims are reaped", async || {
        world.open(0).await.0.is_empty().then_some(())
    })
    .await;
    // A claim that was on its way then is committed too.
    let reaped = "select id from scheduled_messages where status = 'unconfirmed'";
    let reaped = world.app.query(reaped, &[]).await.unwrap();
    let reaped = reaped.iter().map(|row| row.get(0));
    held.extend(reaped.filter(|id| !asked.contains(id)));
    world.daemon(0).signal(Signal::CONT);
    let left =
        "select count(*) from scheduled_messages where status = 'unconfirmed' and id = any($1)";
    let sent: Vec<_> = asked.iter().copied().collect();
    until("what it had sent is merged", async || {
        let n: i64 = world.app.query_one(left, &[&sent]).await.unwrap().get(0);
        (n == 0).then_some(())
    })
    .await;
    let verdict = judge(&mut world, "suspended").await;
    println!("figure: suspended past the lease: {verdict}");
    for standing in standings(&world).await {
        let requests = usize::from(!held.contains(&standing.id));
        assert_eq!(standing.asked.len(), requests, "{standing:?}");
    }
    assert_eq!(verdict.rows, rows.len());
    world.stop().await;
}
