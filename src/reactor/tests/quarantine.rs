//! The quarantine after a restore, and what is not claimed while nothing can be recorded.

use std::sync::Arc;

use super::world::{Claims, Row, World, id};
use super::{MINUTE, SECOND, accepted, at, limits, settings};
use crate::limits::Limits;
use crate::message::{AttemptToken, MessageId, Moment, Outcome, Status};
use crate::reactor::{Input, Settings};

fn quarantine(before: Moment) -> Input<MessageId> {
    Input::Quarantine {
        before,
        written_until: before + MINUTE,
    }
}

#[test]
fn what_is_due_before_a_restore_is_held_and_the_rest_goes_on() {
    let rows = [1, 2, 3, 90].map(|n: u32| Row::due(u128::from(n), at(SECOND * n)));
    let mut world = World::new(settings(1), rows);
    world.run_until(at(SECOND * 2));
    // One is on its way, one waits for its place.
    assert_eq!(world.in_flight, [id(1)]);
    world.handle(quarantine(at(SECOND * 60)));
    assert_eq!(world.count(Status::Sending), 1, "the other is released");
    world.answer(id(1), accepted());
    // An edit, a notification, a sweep: nothing arms it.
    world.handle(Input::Notification(vec![id(2), id(3)]));
    world.handle(Input::Rescan);
    world.run_until(at(SECOND * 80));
    assert!(world.in_flight.is_empty());
    assert_eq!(world.count(Status::Pending), 3);
    world.run_until(at(SECOND * 90));
    assert_eq!(world.in_flight, [id(90)]);
    world.answer(id(90), accepted());

    world.handle(Input::QuarantineEnded);
    world.answer_all(&accepted(), at(SECOND * 95));
    assert_eq!(world.count(Status::Sent), 4);
    assert_eq!(world.starts, 4);
}

#[test]
fn what_is_cleared_is_sent_and_the_rest_stays() {
    let rows = [1, 2, 3].map(|n: u32| Row::due(u128::from(n), at(SECOND * n)));
    let mut world = World::new(settings(4), rows);
    let (hold, later) = (at(SECOND * 10), at(SECOND * 20));
    // There is no quarantine: nothing is remembered that would weaken a later one.
    world.handle(Input::QuarantineCleared(vec![id(3)]));
    world.handle(quarantine(at(SECOND)));
    world.handle(quarantine(hold));
    world.run_until(later);
    assert!(world.in_flight.is_empty());
    world.handle(Input::QuarantineCleared(vec![id(2), id(7)]));
    assert_eq!(world.in_flight, [id(2)]);
    // Released, or retried at once, it continues.
    world.answer(
        id(2),
        Outcome::Unsent {
            reason: "no".into(),
        },
    );
    world.run_until(later + MINUTE);
    assert_eq!(world.in_flight, [id(2)]);
    world.answer(id(2), accepted());
    assert_eq!(world.count(Status::Pending), 2);

    // A second restore takes everything back.
    world.handle(Input::QuarantineCleared(vec![id(1)]));
    assert_eq!(world.in_flight, [id(1)]);
    world.answer(id(1), accepted());
    world.handle(quarantine(later));
    for n in [1, 19] {
        world.insert(Row::due(n, at(SECOND)));
    }
    world.answer_all(&accepted(), later + MINUTE * 2);
    assert_eq!(world.count(Status::Pending), 3);
}

/// Its due time is before the quarantine's, and nobody can have sent it.
#[test]
fn what_is_written_after_a_quarantine_began_is_not_in_it() {
    let before = at(SECOND * 10);
    let mut world = World::new(settings(4), []);
    world.handle(quarantine(before));
    world.run_until(at(SECOND * 90));
    for (n, written) in [(1, 60), (2, 71)] {
        world.insert(Row::due(n, at(SECOND)).written(at(SECOND * written)));
    }
    assert_eq!(world.in_flight, [id(2)]);
    world.answer(id(2), accepted());
    // A sweep finds it too, where the notification was lost.
    let missed = Row::due(3, at(SECOND)).written(at(SECOND * 95));
    world.rows.insert(id(3), missed);
    world.handle(Input::Rescan);
    world.answer_all(&accepted(), at(MINUTE * 10));
    assert_eq!(
        (world.count(Status::Sent), world.count(Status::Pending)),
        (2, 1)
    );
}

#[test]
fn what_is_cleared_is_remembered_within_bounds() {
    let most = Limits::default().intake.quarantine_cleared_max;
    let n = most as u128 + 100;
    let rows = (0..n).map(|i| Row::due(i, at(SECOND)));
    let mut world = World::new(settings(2_000), rows);
    world.handle(quarantine(at(SECOND * 2)));
    for _ in 0..2 {
        let pending = world
            .rows
            .iter()
            .filter(|(_, row)| row.status == Status::Pending);
        let pending = pending.map(|(id, _)| *id).collect();
        world.handle(Input::QuarantineCleared(pending));
        assert!(world.reactor.quarantine_cleared.len() <= most);
        world.answer_all(&accepted(), world.now.db + MINUTE);
    }
    // What was left out came when it was said again.
    assert_eq!(world.count(Status::Sent) as u128, n);
    assert_eq!(world.starts as u128, n);
}

#[test]
fn a_claim_that_was_under_way_is_released() {
    let mut world = World::new(settings(4), [Row::due(1, at(SECOND))]);
    world.claims = Claims::Slow;
    world.run_until(at(SECOND));
    world.handle(quarantine(at(SECOND * 2)));
    world.claims = Claims::Answered;
    world.answer_claims();
    world.run_until(at(MINUTE));
    assert_eq!(world.starts, 0);
    assert_eq!(world.count(Status::Pending), 1);
    world.handle(Input::QuarantineEnded);
    assert_eq!(world.in_flight, [id(1)]);
}

/// Never begun, and so pending again; but not where it may be one that was recorded once.
#[test]
fn an_orphaned_claim_of_before_a_restore_is_uncertain() {
    for (restored, then) in [(false, Status::Pending), (true, Status::Unconfirmed)] {
        let mut row = Row::due(1, at(MINUTE));
        row.status = Status::Sending;
        let mut world = World::new(settings(4), [row]);
        if restored {
            world.handle(quarantine(at(SECOND)));
            world.handle(Input::QuarantineEnded);
        }
        world.handle(Input::OrphanedClaims(vec![(id(1), AttemptToken::fresh())]));
        assert_eq!(world.count(then), 1, "{restored}");
    }
}

/// The provider responds, and no outcome can be recorded.
#[test]
fn with_too_much_unrecorded_nothing_more_is_claimed() {
    // The rest is for what is more urgent.
    let most = Limits::default().records.unrecorded_max / 4 * 3;
    let n = most as u128 + 10_000;
    let rows = (0..n).map(|i| Row::due(i, at(SECOND)));
    let mut world = World::new(settings(2_000), rows);
    world.takes_no_records = true;
    world.answer_all(&accepted(), at(SECOND * 20));
    let claimed = world.count(Status::Sending);
    assert!(world.starts >= most, "{}", world.starts);
    // What was under way when the bound was met comes on top.
    assert!(claimed <= most + 8_000, "{claimed}");
    let starts = world.starts;
    world.answer_all(&accepted(), at(SECOND * 60));
    assert!(world.starts <= starts + 8_000);
    assert_eq!(world.count(Status::Sending), claimed, "no more");

    world.takes_no_records = false;
    world.answer_claims();
    world.answer_all(&accepted(), at(SECOND * 120));
    assert_eq!(world.count(Status::Sent) as u128, n);
    assert_eq!(world.starts as u128, n);
}

/// A database that is away for a minute, with a thousand results that wait for it.
#[test]
fn while_nothing_can_be_recorded_there_is_one_try_a_pause_for_all() {
    let rows = (0..1_000).map(|i| Row::due(i, at(SECOND)));
    let mut world = World::new(settings(2_000), rows);
    world.takes_no_records = true;
    world.answer_all(&accepted(), at(SECOND * 2));
    assert_eq!(world.starts, 1_000);
    while world.now.db < at(SECOND * 62) {
        world.answer_claims();
        world.run_until(world.now.db + SECOND / 100);
    }
    // Eight until the pause is a second.
    assert!(world.records_tried < 75, "{}", world.records_tried);
    world.takes_no_records = false;
    world.answer_claims();
    world.run_until(at(SECOND * 65));
    assert_eq!(world.count(Status::Sent), 1_000);
}

/// A backlog in quarantine is disarmed as it becomes due, a stretch in each turn of the loop.
#[test]
fn a_turn_disarms_no_more_than_a_stretch_of_what_is_in_quarantine() {
    const STRETCH: usize = 100;
    let mut own = limits();
    own.intake.stretch = STRETCH;
    let settings = Settings {
        limits: Arc::new(own),
        ..settings(16)
    };
    let rows = (0..2_000).map(|n| Row::due(n, at(SECOND * 5)));
    let mut world = World::new(settings, rows.chain([Row::due(9_000, at(SECOND * 6))]));
    world.run_until(at(SECOND * 4));
    world.handle(quarantine(at(SECOND * 6)));
    let mut turns = 0;
    while world.reactor.lanes.armed() > 1 {
        let before = world.reactor.lanes.armed();
        let wakes = world.reactor.next_wakeup(world.now).unwrap();
        world.pass_to(wakes.max(world.now.db));
        let disarmed = before - world.reactor.lanes.armed();
        assert!(disarmed <= STRETCH, "{disarmed}");
        turns += usize::from(disarmed > 0);
    }
    assert!(turns >= 2_000 / STRETCH, "{turns}");
    // What is not in it is on time.
    world.run_until(at(SECOND * 6));
    assert_eq!(world.in_flight, [id(9_000)]);
}

/// A claim under way when a stop's time is over may be committed: it is no clean end.
#[test]
fn a_claim_under_way_is_not_recorded_yet() {
    let mut world = World::new(settings(4), (0..3).map(|n| Row::due(n, at(SECOND))));
    world.claims = Claims::Slow;
    world.run_until(at(SECOND));
    world.handle(Input::Drain);
    assert!(!world.reactor.is_drained());
    assert_eq!(
        (
            world.reactor.unrecorded(),
            world.reactor.unrecorded_answers()
        ),
        (3, 0)
    );
    world.claims = Claims::Answered;
    world.answer_claims();
    assert_eq!(world.reactor.unrecorded(), 0);
    assert!(world.reactor.is_drained());
    assert_eq!(world.count(Status::Pending), 3);
}
