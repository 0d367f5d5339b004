//! `kill -9` at named points of a message's way.

use std::time::Duration;

use rustix::process::Signal;

use crate::crash::judge::{Verdict, judge};
use crate::crash::world::{Kind, Row, World};
use crate::daemon::found_within;
use crate::twilio::{Book, Fault, Habits, When};

const MOMENT: Duration = Duration::from_millis(300);

/// What is inserted is due after this: by then it is known, also where changes are polled.
fn notice() -> Duration {
    MOMENT + found_within()
}

/// How often a point that is only tens of milliseconds wide may be missed on a busy machine.
const TRIES: usize = 10;

/// Somewhere on a message's way. Says whether the kill hit it: on a busy machine a moment may
/// be over before we get there.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// Claimed, and not due yet: between the two lies the lead.
    AfterClaim,
    /// The request has begun, and there is no way for it: nobody answers a handshake.
    BeforeTheFirstByte,
    /// The provider has it, and its answer has not come.
    AfterAccept,
    /// The answer has come, and somebody else holds the row: it cannot be recorded.
    BeforeRecord,
    /// The answer has this moment been written: it is recorded or it is not.
    AtTheAnswer,
    /// Some are recorded, some in flight, some wait for a place, some are not claimed yet.
    MidBatch,
    /// It was asked to stop, and has not come to the end of it.
    MidDrain,
}

const POINTS: [Point; 7] = [
    Point::AfterClaim,
    Point::BeforeTheFirstByte,
    Point::AfterAccept,
    Point::BeforeRecord,
    Point::AtTheAnswer,
    Point::MidBatch,
    Point::MidDrain,
];

impl Point {
    async fn kill(self, world: &mut World) -> bool {
        let what = format!("{self:?}");
        match self {
            Self::AfterClaim => {
                let row = world.insert_one(&what, notice()).await;
                let slot = world.claimed(row.id).await;
                let kill = world.kill(slot, &what).await;
                kill.open.get(&row.id) == Some(&false)
            }
            Self::BeforeTheFirstByte => {
                world.twilio.turn_deaf().await;
                let row = world.insert_one(&what, notice()).await;
                let slot = world.claimed(row.id).await;
                // Well past its time, and well before the time-out gives it back.
                tokio::time::sleep(MOMENT).await;
                let kill = world.kill(slot, &what).await;
                let hit = kill.open.get(&row.id) == Some(&false);
                world.twilio.pick_up().await;
                hit
            }
            Self::AfterAccept => {
                let silent = Fault::Silence(When::After);
                let (row, slot) = taken_in(world, &what, silent).await;
                let kill = world.kill(slot, &what).await;
                kill.open.get(&row.id) == Some(&true)
            }
            Self::BeforeRecord => before_record(world, &what).await,
            Self::AtTheAnswer => {
                let (row, slot) = taken_in(world, &what, Fault::None).await;
                answered(world, &row.body).await;
                world.kill(slot, &what).await;
                true
            }
            Self::MidBatch => mid_batch(world, &what).await,
            Self::MidDrain => {
                let fault = Fault::Slow(3 * MOMENT);
                let (row, slot) = taken_in(world, &what, fault).await;
                world.daemon(slot).signal(Signal::TERM);
                world.daemon(slot).says("shutting down").await;
                let kill = world.kill(slot, &what).await;
                kill.open.get(&row.id) == Some(&true)
            }
        }
    }
}

/// Schedules a text that meets this fault, and waits until the provider has it; who sent it.
async fn taken_in(world: &World, what: &str, fault: Fault) -> (Row, usize) {
    let row = world.insert_one(what, notice()).await;
    world.twilio.with_text(&row.body, [fault]);
    let slot = world.claimed(row.id).await;
    let taken = |book: &Book| (book.text(&row.body).sids.len() == 1).then_some(());
    world.twilio.until("it is taken in", taken).await;
    (row, slot)
}

async fn answered(world: &World, body: &str) {
    let answered = |book: &Book| (book.text(body).answered == 1).then_some(());
    world.twilio.until("it is answered", answered).await;
}

async fn before_record(world: &mut World, what: &str) -> bool {
    let other = world.session().await;
    // Locked only once the provider has it: a stalled daemon may give a claim back before, and could not record that.
    let (row, slot) = taken_in(world, what, Fault::Slow(3 * MOMENT)).await;
    let lock = "begin; select from scheduled_messages where id = '{id}' for update";
    let lock = lock.replace("{id}", &row.id.to_string());
    other.batch_execute(&lock).await.unwrap();
    answered(world, &row.body).await;
    // Long enough to be recorded, were the row free.
    tokio::time::sleep(MOMENT).await;
    let kill = world.kill(slot, what).await;
    let hit = kill.open.get(&row.id) == Some(&true);
    other.batch_execute("rollback").await.unwrap();
    hit
}

async fn mid_batch(world: &mut World, what: &str) -> bool {
    let (from, to) = (notice(), notice() + MOMENT);
    let rows = world.insert(60, what, from, to).await;
    for row in &rows {
        let slow = [Fault::Slow(MOMENT / 4)];
        world.twilio.with_text(&row.body, slow);
    }
    let before = world.twilio.book().answers();
    let slot = world.claimed(rows[0].id).await;
    let some = |book: &Book| (book.answers() >= before + 12).then_some(());
    world.twilio.until("some are answered", some).await;
    !world.kill(slot, what).await.open.is_empty()
}

async fn check(kind: Kind) -> Verdict {
    let mut world = World::new(kind, Habits::default()).await;
    world.up().await;
    for point in POINTS {
        let mut hit = false;
        for _ in 0..TRIES {
            hit = point.kill(&mut world).await;
            world.up().await;
            if hit {
                break;
            }
        }
        assert!(hit, "{kind:?}: never killed at {point:?}");
    }
    let name = format!("points, {kind:?}");
    let verdict = judge(&mut world, &name).await;
    println!("figure: {name}: {verdict}");
    world.stop().await;
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_named_point_doubles_and_loses_nothing() {
    let mut all = Verdict::default();
    // All of them at once are more than a small machine can do beside other tests.
    let kinds = match std::env::var("PUNCTUAL_KILLS") {
        Ok(_) => Kind::all(),
        Err(_) => Kind::some(),
    };
    let worlds = kinds.into_iter().map(check);
    for verdict in futures_util::future::join_all(worlds).await {
        all.and(&verdict);
    }
    println!("figure: at named points: {all}");
    assert!(all.is_settled(), "{all}");
}
