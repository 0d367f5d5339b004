//! What single reports change, by hand; groups of reports are in `groups.rs`.

use uuid::Uuid;

use super::*;
use crate::message::{Category, Delivery, Failure, LaneKey, Moment, Retry, Stage};
use crate::proof::report::{About, ProviderStatus};
use crate::proof::standing::{PartStanding, RetryLimits};

mod arrival;
mod groups;
mod parts;

const HOUR: Duration = Duration::from_secs(3600);
const ALLOWED: Allowed = Allowed {
    max_lateness: HOUR,
    part_gap: Duration::from_secs(2),
    retry_carrier: false,
};
const MESSAGE: MessageId = MessageId(Uuid::from_u128(1));
const ATTEMPT: AttemptToken = AttemptToken(Uuid::from_u128(11));
const LATER: AttemptToken = AttemptToken(Uuid::from_u128(12));

fn sid(name: &str) -> ProviderSid {
    ProviderSid(name.to_owned())
}

fn failure(retry: Retry) -> Failure {
    Failure {
        category: Category::Unreachable,
        retry,
    }
}

const NO: Failure = Failure::UNEXPLAINED;

fn minutes(n: u64) -> Duration {
    Duration::from_secs(n * 60)
}

/// This many attempts of three, this many minutes after the wanted time.
fn limits(attempts: i32, late: u64) -> RetryLimits {
    RetryLimits {
        attempts,
        max_attempts: 3,
        late_from: Moment::default(),
        send_before: None,
        now: Moment::default() + minutes(late),
    }
}

fn attempt_at(latest: bool, stage: Option<Stage>) -> AttemptStanding {
    AttemptStanding {
        latest,
        part: 0,
        tries: 1,
        superseded: false,
        accepted: stage.is_some(),
        sid: stage.map(|_| sid("A")),
        stage,
        recovered: false,
        requeued_since: false,
    }
}

/// A message whose row has this status, and whose attempt has reached this stage.
fn standing(row: Status, stage: Option<Stage>) -> Standing {
    Standing {
        message: MESSAGE,
        row: Some(RowStanding {
            status: row,
            sid: matches!(row, Status::Sent | Status::Delivered).then(|| sid("A")),
            limits: limits(1, 0),
            parts_done: 0,
            parts: vec![PartStanding::Open],
            no_retry: None,
        }),
        attempts: [(ATTEMPT, attempt_at(true, stage))].into(),
    }
}

fn of(standing: Standing) -> Standings {
    Standings {
        messages: [(standing.message, standing)].into(),
        owners: BTreeMap::new(),
    }
}

fn report_by(name: &str, delivery: Delivery) -> Report {
    let failed = delivery.failure().is_some();
    Report {
        lane: LaneKey::default(),
        about: About::Sid,
        sid: sid(name),
        status: ProviderStatus {
            delivery,
            word: delivery.stage().as_str(),
            code: None,
            error: failed.then(|| "did not arrive".to_owned()),
        },
        from: None,
        to: None,
    }
}

fn report(delivery: Delivery) -> Report {
    report_by("A", delivery)
}

fn located(report: &Report) -> Located<'_> {
    Located {
        message: MESSAGE,
        token: ATTEMPT,
        report,
    }
}

fn merged(standing: &Standing, delivery: Delivery) -> Change {
    let report = report(delivery);
    let merged = merge(of(standing.clone()), &[located(&report)], ALLOWED);
    merged.changes[0]
}

fn row_of(standing: &Standing, delivery: Delivery) -> Option<Status> {
    match merged(standing, delivery) {
        Change::Advance { row, .. } => row,
        other => panic!("{other:?}"),
    }
}

#[test]
fn proof_counts_in_every_state_and_a_denial_only_where_the_attempt_holds_the_row() {
    use Delivery as D;
    use Status as S;
    let check = |from, before, then: Delivery, to| {
        let got = row_of(&standing(from, before), then);
        assert_eq!(got, to, "{from:?} {before:?} {then:?}");
    };
    for from in [
        S::Sending,
        S::Unconfirmed,
        S::Pending,
        S::Failed,
        S::Cancelled,
    ] {
        check(from, None, D::Queued, Some(S::Sent));
        check(from, None, D::Delivered, Some(S::Delivered));
    }
    check(S::Sending, None, D::Failed(NO), Some(S::Failed));
    check(S::Unconfirmed, None, D::Undelivered(NO), Some(S::Failed));
    check(S::Pending, None, D::Failed(NO), None);
    check(S::Cancelled, None, D::Failed(NO), None);
    check(S::Sent, None, D::Sending, None);
    check(S::Sent, Some(Stage::Sent), D::Delivered, Some(S::Delivered));
    check(
        S::Sent,
        Some(Stage::Sent),
        D::Cancelled(NO),
        Some(S::Failed),
    );
    check(S::Delivered, None, D::Sent, None);
}

#[test]
fn another_attempt_is_not_denied_by_this_one() {
    let mut newer_in_flight = standing(Status::Sending, None);
    newer_in_flight
        .attempts
        .insert(ATTEMPT, attempt_at(false, None));
    assert_eq!(row_of(&newer_in_flight, Delivery::Failed(NO)), None);
    let proof = row_of(&newer_in_flight, Delivery::Sent);
    assert_eq!(proof, Some(Status::Sent));
    let mut newer_sent = standing(Status::Sent, None);
    newer_sent.row.as_mut().unwrap().sid = Some(sid("B"));
    assert_eq!(row_of(&newer_sent, Delivery::Failed(NO)), None);
}

#[test]
fn ranks_only_grow_and_no_failure_stands_against_arrival() {
    use Delivery as D;
    let sent = |before, then| merged(&standing(Status::Sent, Some(before)), then);
    assert_eq!(sent(Stage::Sent, D::Sent), Change::Nothing);
    assert_eq!(sent(Stage::Sent, D::Queued), Change::Nothing);
    assert_eq!(sent(Stage::Failed, D::Undelivered(NO)), Change::Nothing);
    assert_eq!(sent(Stage::Failed, D::Sent), Change::Nothing);
    assert_eq!(sent(Stage::Delivered, D::Failed(NO)), Change::Contradiction);
    for failed in Stage::NOT_DELIVERED {
        let arrived = Change::Advance {
            stage: Stage::Delivered,
            row: Some(Status::Delivered),
            again: None,
            part: None,
        };
        assert_eq!(sent(failed, D::Delivered), arrived);
        for word in [D::Queued, D::Sending, D::Sent] {
            assert_eq!(sent(failed, word), Change::Nothing);
        }
    }
}

#[test]
fn one_sid_is_one_attempts_and_one_attempt_has_one_sid() {
    let own = report_by("B", Delivery::Delivered);
    let has_another = of(standing(Status::Sent, Some(Stage::Sent)));
    let got = merge(has_another, &[located(&own)], ALLOWED);
    assert_eq!(got.changes, [Change::Contradiction]);
    assert!(got.attempts.is_empty() && got.rows.is_empty());
    assert!(got.receipts[0].contradicts);
    let mut anothers = of(standing(Status::Sending, None));
    anothers.owners.insert("B".to_owned(), LATER);
    let got = merge(anothers, &[located(&own)], ALLOWED);
    assert_eq!(got.changes, [Change::Contradiction]);
    // Within a group as well, whatever message the other attempt is of.
    let mut two = of(standing(Status::Sending, None));
    let other = MessageId(Uuid::from_u128(2));
    two.messages.insert(
        other,
        Standing {
            message: other,
            attempts: [(LATER, attempt_at(true, None))].into(),
            ..standing(Status::Sending, None)
        },
    );
    let second = Located {
        message: other,
        token: LATER,
        report: &own,
    };
    let got = merge(two, &[located(&own), second], ALLOWED);
    assert!(matches!(got.changes[0], Change::Advance { .. }));
    assert_eq!(got.changes[1], Change::Contradiction);
}

#[test]
fn what_could_not_be_delivered_is_tried_again_where_its_failure_says_so() {
    let check = |from, retry, limits: RetryLimits, expected: Option<(u64, u64, bool)>| {
        let mut standing = standing(from, None);
        standing.row.as_mut().unwrap().limits = limits;
        let undelivered = Delivery::Undelivered(failure(retry));
        let Change::Advance { row, again, .. } = merged(&standing, undelivered) else {
            panic!("{retry:?}");
        };
        let became = expected.map_or(Status::Failed, |_| Status::Pending);
        assert_eq!(row, Some(became), "{from:?} {retry:?} {limits:?}");
        let got = again.map(|a| (a.pause.as_secs(), a.counts));
        match (got, expected) {
            (None, None) => {}
            (Some((pause, counts)), Some((least, most, counted))) => {
                assert!((least..=most).contains(&pause), "{retry:?} {pause}");
                assert_eq!(counts, counted, "{retry:?}");
            }
            other => panic!("{retry:?} {other:?}"),
        }
    };
    let after = |n| Retry::after(minutes(n));
    let hold = Retry::HoldAccount { probe: minutes(5) };
    let maybe = Retry::MayHaveArrived;
    for from in [Status::Sent, Status::Sending, Status::Unconfirmed] {
        check(from, after(1), limits(1, 0), Some((45, 60, true)));
        check(from, after(1), limits(2, 0), Some((90, 120, true)));
        check(from, after(1), limits(3, 0), None);
        check(from, after(1), limits(1, 60), None);
        check(from, after(5), limits(1, 0), Some((225, 300, true)));
        check(from, hold, limits(3, 0), Some((300, 300, false)));
        check(from, hold, limits(1, 56), None);
        // It may nonetheless have arrived.
        check(from, maybe, limits(1, 0), None);
        check(from, Retry::No, limits(1, 0), None);
        let soon = RetryLimits {
            send_before: Some(Moment::default() + Duration::from_secs(30)),
            ..limits(1, 0)
        };
        check(from, after(1), soon, None);
    }
}

#[test]
fn a_row_that_the_table_does_not_let_be_pending_has_failed_and_says_why() {
    let mut standing = standing(Status::Sent, Some(Stage::Sent));
    standing.row.as_mut().unwrap().no_retry = Some("another is under way".to_owned());
    let undelivered = report(Delivery::Undelivered(failure(Retry::after(minutes(1)))));
    let got = merge(of(standing), &[located(&undelivered)], ALLOWED);
    let [row] = &got.rows[&MESSAGE][..] else {
        panic!("{got:?}");
    };
    assert_eq!((row.to, row.pause), (Status::Failed, None));
    let error = row.error.as_deref();
    assert_eq!(error, Some("another is under way: did not arrive"));
}

/// A later attempt may have been sent, and its record lost.
#[test]
fn what_a_restored_database_had_lost_is_not_retried() {
    let retried = Delivery::Undelivered(failure(Retry::after(minutes(1))));
    let never = Delivery::Undelivered(failure(Retry::No));
    for (delivery, error) in [
        (
            retried,
            "not retried, because the database was restored after this attempt: did not arrive",
        ),
        (never, "did not arrive"),
    ] {
        let mut standing = standing(Status::Sent, Some(Stage::Sent));
        for attempt in standing.attempts.values_mut() {
            attempt.recovered = true;
        }
        let report = report(delivery);
        let got = merge(of(standing), &[located(&report)], ALLOWED);
        let [row] = &got.rows[&MESSAGE][..] else {
            panic!("{got:?}");
        };
        assert_eq!((row.to, row.pause), (Status::Failed, None));
        assert_eq!(row.error.as_deref(), Some(error));
    }
}

#[test]
fn a_failure_that_is_not_the_rows_is_no_reason_to_try_again() {
    let failed = Delivery::Failed(failure(Retry::after(minutes(1))));
    let mut newer = standing(Status::Sent, None);
    newer.row.as_mut().unwrap().sid = Some(sid("B"));
    let done = [
        newer,
        standing(Status::Delivered, None),
        standing(Status::Cancelled, None),
        standing(Status::Pending, None),
    ];
    for standing in done {
        let expected = Change::Advance {
            stage: Stage::Failed,
            row: None,
            again: None,
            part: None,
        };
        assert_eq!(merged(&standing, failed), expected, "{standing:?}");
    }
}
