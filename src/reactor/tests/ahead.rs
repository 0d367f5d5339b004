//! What is claimed before it can start: no more than the limit, and what is urgent starts first.

use super::world::{Claims, Row, World, id};
use super::*;
use crate::message::Priority;
use crate::reactor::Input;
use crate::settle::SendResult;

/// Messages due a second after the start.
fn herd(n: u128) -> impl Iterator<Item = Row> {
    (0..n).map(|n| Row::due(n, at(SECOND)))
}

fn urgent(n: u128, due: Duration) -> Row {
    Row::due(n, at(due)).with(Priority::Urgent)
}

/// Claimed and not started, by the table.
fn ahead(world: &World) -> usize {
    let started = world.in_flight.len();
    world.count(Status::Sending) - started
}

/// Runs a herd to its end, `at_a_time` responses a millisecond; the most that were ahead.
fn most_ahead(world: &mut World, at_a_time: usize) -> usize {
    let mut most = 0;
    while !world.in_flight.is_empty() {
        for _ in 0..at_a_time.min(world.in_flight.len()) {
            let oldest = world.in_flight[0];
            world.answer(oldest, accepted());
        }
        most = most.max(ahead(world));
        world.run_until(world.now.db + Duration::from_millis(1));
    }
    most
}

#[test]
fn at_most_so_many_are_claimed_and_not_started() {
    let limits = Limits::default().claims;
    // Without a journal, with one, and with one that could not be written any more.
    for journal in [&[][..], &[true], &[true, false]] {
        let mut world = World::new(settings(256), herd(6_000));
        for is_complete in journal {
            world.reactor.set_journal(*is_complete);
        }
        let has_journal = journal.last() == Some(&true);
        world.run_until(at(SECOND));
        let most = most_ahead(&mut world, 40);
        let bound = if has_journal {
            limits.ahead_max_with_journal
        } else {
            limits.ahead_max
        };
        assert!(most <= bound, "{most}");
        assert!(most > 200, "{most}: a herd waits for its claims");
        assert_eq!(world.count(Status::Sent), 6_000);
    }
}

#[test]
fn no_more_is_claimed_than_starts_within_the_span() {
    let mut world = World::new(settings(4), herd(5_000));
    world.reactor.set_journal(true);
    world.run_until(at(SECOND));
    // A request takes a second: four start a second, and one is ready when the next place is free.
    for _ in 0..200 {
        world.run_until(world.now.db + Duration::from_millis(250));
        let started = world.now.db - SECOND;
        let oldest = world.in_flight[0];
        world.answer_since(oldest, accepted(), started);
    }
    assert_eq!(ahead(&world), 1);
    assert_eq!(world.in_flight.len(), 4, "and that one starts at once");
}

#[test]
fn an_urgent_message_waits_for_no_herd() {
    let late = urgent(90_000, SECOND + Duration::from_millis(20));
    let mut world = World::new(settings(8), herd(20_000).chain([late]));
    world.run_until(at(SECOND));
    for _ in 0..60 {
        world.run_until(world.now.db + Duration::from_millis(1));
        let oldest = world.in_flight[0];
        world.answer(oldest, accepted());
        if world.now.db >= at(SECOND + Duration::from_millis(22)) {
            break;
        }
    }
    let has_started = world.rows[&id(90_000)].status != Status::Pending
        && (world.in_flight.contains(&id(90_000))
            || world.rows[&id(90_000)].status == Status::Sent);
    assert!(has_started, "{:?}", world.rows[&id(90_000)]);
}

#[test]
fn an_urgent_message_takes_the_next_permit() {
    // The herd waits for the only permit, claimed as far as is allowed.
    let mut world = World::new(settings(1), herd(1_000));
    world.run_until(at(SECOND * 2));
    assert_eq!(world.in_flight.len(), 1);
    world.insert(urgent(5_000, SECOND * 2));
    assert_eq!(
        world.rows[&id(5_000)].status,
        Status::Sending,
        "claimed at once"
    );
    let first = world.in_flight[0];
    world.answer(first, accepted());
    assert_eq!(world.in_flight, [id(5_000)]);
    // Of those that are due: one that is not due delays none.
    world.insert(urgent(5_001, SECOND * 3));
    world.answer(id(5_000), accepted());
    assert!(!world.in_flight.is_empty() && !world.in_flight.contains(&id(5_001)));
}

#[test]
fn while_claims_fail_there_is_one_a_pause() {
    let mut world = World::new(settings(64), herd(3_000));
    world.claims = Claims::Refused;
    world.run_until(at(SECOND * 11));
    // 5 ms, doubling to a second.
    assert!(
        (15..=20).contains(&world.claims_tried),
        "{}",
        world.claims_tried
    );
    world.claims = Claims::Answered;
    world.handle(Input::Tick);
    world.run_until(at(SECOND * 13));
    assert_eq!(world.in_flight.len(), 64);
}

/// At most one is claimed and not started.
fn one_ahead() -> Settings {
    let mut limits = limits();
    limits.claims.ahead_max = 1;
    Settings {
        limits: Arc::new(limits),
        ..settings(1)
    }
}

#[test]
fn a_release_that_is_not_recorded_still_counts_as_claimed() {
    let mut world = World::new(one_ahead(), herd(5));
    world.run_until(at(SECOND));
    assert_eq!((world.in_flight.len(), ahead(&world)), (1, 1));
    // The request takes so long that the next message's lease is over before there is a permit.
    world.takes_no_records = true;
    world.run_until(at(SECOND * 40));
    world.answer(id(0), accepted());
    assert_eq!(world.in_flight, []);
    // The response is not recorded either.
    assert_eq!(ahead(&world) - 1, 1, "{:?}", world.rows);
    world.takes_no_records = false;
    world.answer_claims();
    world.run_until(at(SECOND * 42));
    assert_eq!((world.in_flight.len(), ahead(&world)), (1, 1));
    world.answer_all(&accepted(), at(SECOND * 50));
    assert_eq!(world.count(Status::Sent), 5);
}

/// A kill would leave it claimed, and without a journal nothing could prove that it was not sent.
#[test]
fn a_request_that_was_not_begun_counts_as_claimed_until_that_is_recorded() {
    let mut world = World::new(one_ahead(), herd(9));
    world.run_until(at(SECOND));
    world.takes_no_records = true;
    for _ in 0..3 {
        let Some(id) = world.in_flight.pop() else {
            break;
        };
        let answer = SendResult {
            outcome: Outcome::Unsent {
                reason: "too late".into(),
            },
            started: None,
            finished: world.now.db,
        };
        world.handle(Input::Sent { id, answer });
        world.run_until(world.now.db + Duration::from_millis(100));
    }
    assert_eq!((world.in_flight.len(), ahead(&world)), (0, 2));
    world.takes_no_records = false;
    world.answer_claims();
    world.answer_all(&accepted(), at(SECOND * 60));
    assert_eq!(world.count(Status::Sent), 9);
}

#[test]
fn a_lost_claim_counts_until_it_is_released() {
    let mut world = World::new(one_ahead(), herd(5));
    world.claims = Claims::Lost;
    world.takes_no_records = true;
    world.run_until(at(SECOND * 10));
    assert_eq!((world.claims_tried, ahead(&world)), (1, 1));
    world.claims = Claims::Answered;
    world.takes_no_records = false;
    world.answer_claims();
    world.answer_all(&accepted(), at(SECOND * 20));
    assert_eq!(world.count(Status::Sent), 5);
}

#[test]
fn acceptances_are_recorded_together_and_what_decides_more_at_once() {
    const GATHER: Duration = Duration::from_millis(30);
    let mut limits = limits();
    limits.records.gather = GATHER;
    let gathering = |limits: &Limits| Settings {
        limits: Arc::new(limits.clone()),
        ..settings(8)
    };
    let mut world = World::new(gathering(&limits), herd(8));
    world.run_until(at(SECOND));
    let first = world.now.db;
    world.answer(id(0), accepted());
    world.run_until(first + GATHER / 2);
    world.answer(id(1), accepted());
    assert_eq!(world.count(Status::Sent), 0);
    world.run_until(first + GATHER - Duration::from_millis(1));
    assert_eq!(world.count(Status::Sent), 0);
    world.run_until(first + GATHER);
    assert_eq!(
        world.count(Status::Sent),
        2,
        "the first one waits no longer"
    );

    // A refusal takes with it what waits.
    world.answer(id(2), accepted());
    assert_eq!(world.count(Status::Sent), 2);
    world.answer(id(3), refused(21_610, Category::OptedOut, Retry::No));
    assert_eq!(
        (world.count(Status::Sent), world.count(Status::Failed)),
        (3, 1)
    );

    // At its end a daemon waits for nothing.
    world.answer(id(4), accepted());
    assert_eq!(world.count(Status::Sent), 3);
    world.handle(Input::Drain);
    world.answer(id(5), accepted());
    assert_eq!(world.count(Status::Sent), 5);

    // A full group, and results that leave little room for more, are recorded at once.
    limits.records.gather = SECOND;
    for (batch, unrecorded_max) in [(3, 100), (100, 6)] {
        limits.records.batch = batch;
        limits.records.unrecorded_max = unrecorded_max;
        let mut world = World::new(gathering(&limits), herd(8));
        world.run_until(at(SECOND));
        for n in 0..3 {
            assert_eq!(world.count(Status::Sent), 0);
            world.answer(id(n), accepted());
        }
        assert_eq!(world.count(Status::Sent), 3);
    }
}

#[test]
fn the_oldest_unrecorded_result_has_an_age() {
    let mut world = World::new(settings(8), herd(8));
    world.takes_no_records = true;
    world.run_until(at(SECOND));
    let age = |world: &World| world.reactor.load(world.now).unrecorded_oldest_us;
    assert_eq!(age(&world), 0);
    world.answer(id(3), accepted());
    world.run_until(at(SECOND * 2));
    world.answer(id(4), accepted());
    world.run_until(at(SECOND * 31));
    assert_eq!(age(&world), 30_000_000);
    world.takes_no_records = false;
    world.answer_claims();
    world.run_until(at(SECOND * 40));
    assert_eq!(age(&world), 0);
}

#[test]
fn the_last_places_ahead_are_for_urgent_messages() {
    let mut limits = limits();
    limits.claims.ahead_max = 20;
    limits.claims.ahead_urgent = 4;
    limits.claims.at_once = 9;
    let settings = Settings {
        limits: Arc::new(limits),
        ..settings(64)
    };
    let mut world = World::new(settings, herd(100));
    world.claims = Claims::Slow;
    world.run_until(at(SECOND));
    assert_eq!(ahead(&world), 16);
    for n in 0..6 {
        world.insert(urgent(5_000 + n, SECOND));
    }
    assert_eq!(ahead(&world), 20);
    assert_eq!(world.rows[&id(5_003)].status, Status::Sending);
    assert_eq!(world.rows[&id(5_004)].status, Status::Pending);
}

/// With requests of 250 ms and four at once.
#[test]
fn as_much_is_claimed_ahead_as_starts_while_three_claims_are_made() {
    for (takes, startable) in [(1, 3), (200, 9), (1_000, 48), (20_000, 120)] {
        let mut world = World::new(settings(4), herd(1_000));
        world.takes = Duration::from_millis(takes);
        world.run_until(at(SECOND));
        assert_eq!(world.in_flight.len(), 4);
        // Less than 200 ms, or a quarter of the lease, it never is.
        assert_eq!(ahead(&world), startable, "{takes} ms");
    }
}

#[test]
fn what_follows_within_milliseconds_goes_along_whatever_happens_between() {
    let apart = Duration::from_millis(10);
    let due = |n: u32| at(SECOND) + apart * n;
    let rows = (0..100).map(|n| Row::due(n.into(), due(n)));
    let mut world = World::new(settings(16), rows);
    for n in 0..100 {
        world.run_until(due(n));
        // Each response is an occasion to claim.
        world.run_until(due(n) + apart / 4);
        world.answer(id(n.into()), accepted());
    }
    assert_eq!(world.count(Status::Sent), 100);
    // Four each: a claim takes what is due from 15 to 45 ms later.
    let claims = world.claims_made;
    assert!(claims <= 30, "{claims} claims");
}
