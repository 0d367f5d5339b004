//! What responses mean for the messages that wait: retries, the breaker, and requests at once.

use std::sync::Arc;
use std::time::Duration;

use self::world::{Claims, Row, World, id};
use super::{Input, Settings};
use crate::limits::Limits;
use crate::message::{Category, Moment, Outcome, ProviderSid, Retry, Scope, Status};
use crate::schedule::LeadSetting;

mod ahead;
mod capabilities;
mod counts;
mod distance;
mod herd;
mod lanes;
mod locked;
mod paces;
mod pauses;
mod quarantine;
mod routes;
mod row;
mod slowed;
mod sweeps;
mod turns;
mod window;
pub(super) mod world;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn settings(max_in_flight: usize) -> Settings {
    Settings {
        horizon: MINUTE * 60,
        lead: LeadSetting::Auto,
        max_in_flight,
        lease: SECOND * 30,
        send_timeout: SECOND * 10,
        limits: Arc::new(limits()),
    }
}

/// The daemon's, but for results, which are recorded at once.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.records.gather = Duration::ZERO;
    limits
}

fn accepted() -> Outcome {
    Outcome::Accepted {
        sid: ProviderSid("SM1".into()),
    }
}

fn refused(code: i32, category: Category, retry: Retry) -> Outcome {
    Outcome::Refused {
        code: Some(code),
        category,
        text: "no".into(),
        retry,
    }
}

/// The account is refused, and the next probe is due after five minutes.
fn unpaid() -> Outcome {
    let retry = Retry::HoldAccount { probe: MINUTE * 5 };
    refused(20003, Category::AccountIssue, retry)
}

fn wrong_number() -> Outcome {
    refused(21211, Category::InvalidNumber, Retry::No)
}

fn throttled(retry_after: Duration) -> Outcome {
    Outcome::Throttled {
        retry_after: Some(retry_after),
        code: Some(20429),
        scope: Scope::Account,
        hold: None,
    }
}

fn unsent() -> Outcome {
    Outcome::Unsent {
        reason: "connection refused".into(),
    }
}

fn unknown() -> Outcome {
    Outcome::Unknown {
        reason: "timed out".into(),
    }
}

fn at(since_start: Duration) -> Moment {
    Moment::from_micros(0) + since_start
}

/// `n` messages due a second after the start, and the account refused to the first.
fn world_refused(n: u128) -> World {
    let rows = (0..n).map(|i| Row::due(i, at(SECOND)));
    let mut world = World::new(settings(1), rows);
    world.run_until(at(SECOND));
    assert_eq!(world.in_flight, [id(0)]);
    world.answer(id(0), unpaid());
    world
}

#[test]
fn what_is_permitted_no_longer_when_there_is_a_permit_is_judged_again() {
    let closes = at(SECOND * 2);
    let rows = [
        Row::due(0, at(SECOND)),
        Row::due(1, at(SECOND)).closing(closes),
    ];
    let mut world = World::new(settings(1), rows);
    world.run_until(at(SECOND * 3));
    assert_eq!(world.in_flight, [id(0)]);
    world.answer(id(0), accepted());
    world.run_until(at(SECOND * 4));
    assert_eq!((world.starts, world.in_flight.len()), (1, 0));
    assert_eq!(world.rows[&id(1)].due, closes + MINUTE * 60);
    world.run_until(closes + MINUTE * 60);
    assert_eq!(world.in_flight, [id(1)]);
}

#[test]
fn while_the_account_is_refused_one_message_probes() {
    let rows = (0..10).map(|i| Row::due(i, at(SECOND)));
    let mut world = World::new(settings(4), rows);
    world.run_until(at(SECOND));
    assert_eq!(world.in_flight, [id(0), id(1), id(2), id(3)]);
    assert_eq!(
        world.count(Status::Sending),
        4 + 3,
        "as many more are claimed as can start within 200 ms, at 250 ms a request"
    );

    world.answer(id(0), unpaid());
    assert!(world.reactor.breaker(world.now).open);
    assert_eq!(
        world.count(Status::Pending),
        7,
        "and what waited is released"
    );
    // What had begun before says nothing of the present.
    world.answer(id(1), accepted());
    world.answer(id(2), unpaid());
    world.answer(id(3), wrong_number());
    world.run_until(at(MINUTE * 5));
    assert_eq!((world.starts, world.in_flight.len()), (4, 0));
    let report = world.reactor.breaker(world.now);
    assert!(report.open && report.reason == Some(20003), "{report:?}");
    assert_eq!(report.next_probe_at, Some(at(SECOND + MINUTE * 5)));

    // The probe is another message than those that were refused already.
    world.run_until(at(SECOND + MINUTE * 5));
    let [other] = world.in_flight[..] else {
        panic!("{:?}", world.in_flight);
    };
    assert!(other > id(3));
    world.answer(other, unpaid());
    world.run_until(at(MINUTE * 10));
    assert_eq!((world.starts, world.in_flight.len()), (5, 0));
    world.run_until(at(SECOND + MINUTE * 10));
    let [probe] = world.in_flight[..] else {
        panic!("{:?}", world.in_flight);
    };
    world.answer(probe, accepted());
    assert!(!world.reactor.breaker(world.now).open);
    assert_eq!(world.in_flight.len(), 4, "all flows again");
    world.answer_all(&accepted(), at(MINUTE * 20));
    assert_eq!(
        (world.count(Status::Sent), world.count(Status::Failed)),
        (9, 1)
    );
    assert!(world.rows.values().all(|row| row.attempts == 1));
}

/// What the probe's response does: whether the breaker stays open, and when the next request is
/// made.
#[track_caller]
fn check_probe(answer: Outcome, open: bool, next: Duration) {
    let what = format!("{answer:?}");
    let mut world = world_refused(4);
    world.run_until(at(SECOND + MINUTE * 5));
    assert_eq!((world.starts, world.in_flight.len()), (2, 1));
    let probe = world.in_flight[0];
    world.answer(probe, answer);
    assert_eq!(world.reactor.breaker(world.now).open, open, "{what}");
    let expected = at(SECOND + MINUTE * 5 + next);
    if open {
        let next_probe_at = world.reactor.breaker(world.now).next_probe_at;
        assert_eq!(next_probe_at, Some(expected), "{what}");
        world.run_until(expected - SECOND);
        assert_eq!(world.starts, 2, "{what}");
    }
    world.run_until(expected);
    assert_eq!(world.starts, 3, "{what}");
}

#[test]
fn only_a_response_that_accepts_the_account_closes_it() {
    let by_the_day = Retry::HoldAccount { probe: MINUTE * 60 };
    let used_up = refused(63038, Category::RateLimit, by_the_day);
    check_probe(unpaid(), true, MINUTE * 5);
    check_probe(used_up, true, MINUTE * 60);
    check_probe(unknown(), true, MINUTE * 5);
    check_probe(unsent(), true, SECOND * 10);
    check_probe(accepted(), false, Duration::ZERO);
    check_probe(wrong_number(), false, Duration::ZERO);
    check_probe(throttled(SECOND), false, Duration::ZERO);
}

#[test]
fn a_used_up_rolling_limit_holds_too_however_it_is_said() {
    let mut world = World::new(settings(1), (0..3).map(|i| Row::due(i, at(SECOND))));
    world.run_until(at(SECOND));
    let used_up = Outcome::Throttled {
        retry_after: Some(SECOND),
        code: Some(63038),
        scope: Scope::Account,
        hold: Some(MINUTE * 60),
    };
    world.answer(id(0), used_up);
    world.run_until(at(MINUTE * 60));
    assert_eq!((world.starts, world.count(Status::Pending)), (1, 3));
    world.run_until(at(SECOND + MINUTE * 60));
    assert_eq!(world.starts, 2);
}

#[test]
fn what_was_claimed_before_it_opened_is_released() {
    let rows = [Row::due(0, at(SECOND)), Row::due(1, at(SECOND * 2))];
    let mut world = World::new(settings(8), rows);
    world.run_until(at(SECOND));
    world.claims = Claims::Slow;
    world.run_until(at(SECOND * 2));
    world.answer(id(0), unpaid());
    assert_eq!(world.rows[&id(1)].status, Status::Sending);
    world.claims = Claims::Answered;
    world.answer_claims();
    assert_eq!(world.rows[&id(1)].status, Status::Pending);
    assert_eq!(world.rows[&id(1)].attempts, 0);
    assert_eq!(world.starts, 1);
}

#[test]
fn a_probe_that_is_not_to_be_had_makes_room_for_another() {
    let mut world = world_refused(3);
    world.rows.get_mut(&id(1)).unwrap().locked = true;
    world.run_until(at(SECOND + MINUTE * 5));
    assert_eq!(world.in_flight, [id(2)]);
}

#[test]
fn nothing_due_is_no_probe_until_something_is() {
    let mut world = World::new(settings(8), [Row::due(0, at(SECOND))]);
    world.run_until(at(SECOND));
    world.answer(id(0), unpaid());
    world.run_until(at(MINUTE * 4));
    let row = Row::due(1, at(MINUTE * 30));
    world.insert(row);
    world.run_until(at(MINUTE * 6));
    // The one that was refused, as soon as its own pause is over.
    assert_eq!(world.in_flight, [id(0)]);
    world.answer(id(0), accepted());
    world.run_until(at(MINUTE * 30));
    assert_eq!(world.in_flight, [id(1)]);
}

#[test]
fn fewer_go_at_once_after_too_many() {
    let mut world = World::new(settings(8), (0..60).map(|i| Row::due(i, at(SECOND))));
    world.run_until(at(SECOND));
    assert_eq!(world.in_flight.len(), 8);
    for n in 0..8 {
        world.answer(id(n), throttled(SECOND * 30));
    }
    assert_eq!(world.in_flight.len(), 4, "once, and not for each of them");
    world.run_until(at(SECOND * 2) - Duration::from_millis(1));
    assert_eq!(world.in_flight.len(), 4);
    for more in 1..=4 {
        world.run_until(at(SECOND + SECOND * more));
        assert_eq!(world.in_flight.len(), 4 + more as usize);
    }
    world.run_until(at(SECOND * 8));
    assert_eq!(world.in_flight.len(), 8, "and no more than before");
    world.answer_all(&accepted(), at(SECOND * 40));
    assert_eq!(world.count(Status::Sent), 60);
}

#[test]
fn a_refusal_that_may_pass_is_retried_as_often_as_the_row_allows() {
    let mut world = World::new(settings(8), [Row::due(0, at(SECOND))]);
    let out_of_reach = || {
        let retry = Retry::after(MINUTE);
        refused(30003, Category::Unreachable, retry)
    };
    world.run_until(at(SECOND));
    let mut last = world.now.db;
    for most in [MINUTE, MINUTE * 2] {
        world.answer(id(0), out_of_reach());
        assert!(world.in_flight.is_empty());
        let row = &world.rows[&id(0)];
        assert_eq!(row.status, Status::Pending);
        let pause = row.due.since(last);
        assert!(pause <= most && pause >= most * 3 / 4, "{pause:?}");
        world.run_until(row.due - Duration::from_millis(1));
        assert!(world.in_flight.is_empty(), "never early");
        world.run_until(world.rows[&id(0)].due);
        assert_eq!(world.in_flight, [id(0)]);
        last = world.now.db;
    }
    world.answer(id(0), out_of_reach());
    world.run_until(at(MINUTE * 50));
    assert_eq!((world.starts, world.count(Status::Failed)), (3, 1));
    assert!(!world.reactor.breaker(world.now).open);
}

/// What commits without a notification is found by the sweeps, and their number is what it costs.
#[test]
fn where_transactions_can_be_prepared_a_sweep_follows_within_a_second() {
    for (unnotified, found_within) in [
        (false, limits().intake.near_sweep),
        (true, Duration::from_secs(1)),
    ] {
        let mut world = World::new(settings(9), []);
        world.run_until(at(Duration::from_millis(300)));
        world.handle(Input::ChannelUp { unnotified });
        for n in 1..=20_u32 {
            let committed = world.now.db + Duration::from_millis(170);
            world.run_until(committed);
            // No notification.
            let row = Row::due(n.into(), committed);
            world.rows.insert(id(n.into()), row);
            world.run_until(committed + found_within);
            assert_eq!(world.starts, n as usize, "{unnotified}: {:?}", world.now.db);
            while let Some(id) = world.in_flight.first().copied() {
                world.answer(id, accepted());
            }
        }
    }
}
