//! Messages of several parts: what a report about one of them changes.

use super::*;
use crate::message::Part;

/// A message of three parts, of which so many are accepted, and an attempt at one of them.
fn standing_at(row: Status, done: i16, part: i16) -> Standing {
    let mut it = standing(row, None);
    let is_accepted = part < done;
    it.row = it.row.map(|row| RowStanding {
        parts_done: done,
        parts: vec![PartStanding::Open; 3],
        limits: RetryLimits {
            // The tries are of the part that is next.
            attempts: i32::from(row.status == Status::Sending),
            ..row.limits
        },
        ..row
    });
    let attempt = AttemptStanding {
        part,
        ..attempt_at(true, is_accepted.then_some(Stage::Sent))
    };
    it.attempts = [(ATTEMPT, attempt)].into();
    it
}

fn with(mut it: Standing, parts: [PartStanding; 3]) -> Standing {
    if let Some(row) = it.row.as_mut() {
        row.parts = parts.to_vec();
    }
    it
}

/// The row as one word, with how many parts are accepted, the tries, and the seconds that it waits.
fn row(standing: &Standing, delivery: Delivery) -> String {
    let report = report(delivery);
    let merged = merge(of(standing.clone()), &[located(&report)], ALLOWED);
    let Some(write) = merged.rows.get(&MESSAGE).and_then(|steps| steps.last()) else {
        return "stays".to_owned();
    };
    let part = write.part.unwrap();
    let (to, done) = (write.to.as_str(), part.done);
    let tries = part
        .attempts
        .map(|n| format!(" tries={n}"))
        .unwrap_or_default();
    let waits = write
        .pause
        .map(|d| if d < minutes(1) { " gap" } else { " backoff" });
    let why = write
        .error
        .as_deref()
        .map(|e| format!(": {e}"))
        .unwrap_or_default();
    format!("{to} {done}{tries}{}{why}", waits.unwrap_or_default())
}

#[track_caller]
fn check(standing: &Standing, delivery: Delivery, expected: &str) {
    assert_eq!(
        row(standing, delivery),
        expected,
        "{standing:?} {delivery:?}"
    );
}

use Delivery as D;
use PartStanding::{Arrived, Lost, Open};

/// Undelivered, and worth another try.
fn again() -> Delivery {
    D::Undelivered(failure(Retry::after(minutes(2))))
}

#[test]
fn proof_of_a_part_moves_the_message_to_the_next_and_only_the_last_ends_it() {
    for delivery in [D::Queued, D::Sent, D::Delivered] {
        for status in [Status::Sending, Status::Unconfirmed, Status::Pending] {
            check(
                &standing_at(status, 0, 0),
                delivery,
                "pending 1 tries=0 gap",
            );
            check(
                &standing_at(status, 1, 1),
                delivery,
                "pending 2 tries=0 gap",
            );
            check(&standing_at(status, 2, 2), delivery, "sent 3");
            // A restored database knows less than the provider.
            check(
                &standing_at(status, 0, 1),
                delivery,
                "pending 2 tries=0 gap",
            );
            // Accepted before: nothing is moved by a later word about it.
            for (done, part) in [(1, 0), (2, 0), (2, 1)] {
                check(&standing_at(status, done, part), delivery, "stays");
            }
        }
        // What has ended stays so, and knows that one more was sent.
        check(
            &standing_at(Status::Cancelled, 1, 1),
            delivery,
            "cancelled 2 tries=0",
        );
        check(
            &standing_at(Status::Failed, 1, 1),
            delivery,
            "failed 2 tries=0",
        );
        check(&standing_at(Status::Cancelled, 2, 2), delivery, "sent 3");
    }
}

/// The moment is one function of message and part, as the record of the response computes it.
#[test]
fn the_gap_is_that_of_the_part() {
    let report = report(D::Sent);
    let merged = merge(
        of(standing_at(Status::Sending, 1, 1)),
        &[located(&report)],
        ALLOWED,
    );
    let gap = Part { before: 1, of: 3 }.gap(ALLOWED.part_gap, MESSAGE);
    assert_eq!(merged.rows[&MESSAGE][0].pause, Some(gap));
}

#[test]
fn a_part_that_did_not_arrive_goes_again_only_before_a_later_one() {
    // Its own request is in progress.
    check(
        &standing_at(Status::Sending, 1, 1),
        again(),
        "pending 1 tries=1 backoff: did not arrive",
    );
    // The next one waits for its gap.
    check(
        &standing_at(Status::Pending, 2, 1),
        again(),
        "pending 1 tries=1 backoff: did not arrive",
    );
    // The last one.
    check(
        &standing_at(Status::Sent, 3, 2),
        again(),
        "pending 2 tries=1 backoff: did not arrive",
    );
    // A later one is accepted, or on its way.
    check(&standing_at(Status::Pending, 2, 0), again(), "stays");
    check(&standing_at(Status::Sending, 2, 1), again(), "stays");
    check(&standing_at(Status::Cancelled, 2, 1), again(), "stays");
    // Another attempt at it was accepted since.
    let mut superseded = standing_at(Status::Pending, 2, 1);
    superseded.attempts.get_mut(&ATTEMPT).unwrap().superseded = true;
    check(&superseded, again(), "stays");
    // An earlier attempt at it has arrived after all.
    let arrived = |it| with(it, [Arrived, Arrived, Open]);
    check(
        &arrived(standing_at(Status::Pending, 2, 1)),
        again(),
        "stays",
    );
    check(
        &arrived(standing_at(Status::Sending, 1, 1)),
        again(),
        "pending 2 tries=0 gap: did not arrive",
    );
    // Its tries are used up: the message goes on, or ends if it was the last.
    let used_up = |mut it: Standing| {
        it.attempts.get_mut(&ATTEMPT).unwrap().tries = 3;
        it
    };
    check(
        &used_up(standing_at(Status::Pending, 2, 1)),
        again(),
        "stays",
    );
    check(
        &used_up(standing_at(Status::Sending, 1, 1)),
        again(),
        "pending 2 tries=0 gap: did not arrive",
    );
    check(
        &used_up(standing_at(Status::Sent, 3, 2)),
        again(),
        "failed 2: part 3 of 3 did not arrive: did not arrive",
    );
}

#[test]
fn a_report_makes_no_message_final_while_parts_are_left() {
    for delivery in [D::Delivered, D::Undelivered(NO), D::Failed(NO), again()] {
        for (done, part) in [(1, 0), (2, 0), (2, 1)] {
            for status in [Status::Pending, Status::Sending, Status::Unconfirmed] {
                let row = row(&standing_at(status, done, part), delivery);
                assert!(row == "stays" || row.starts_with("pending"), "{row}");
            }
        }
    }
}

#[test]
fn a_message_has_arrived_when_each_of_its_parts_has() {
    let sent = |parts| with(standing_at(Status::Sent, 3, 2), parts);
    check(&sent([Arrived, Arrived, Open]), D::Delivered, "delivered 3");
    check(&sent([Arrived, Open, Open]), D::Delivered, "stays");
    let lost = "failed 3: part 2 of 3 did not arrive";
    check(&sent([Arrived, Lost, Open]), D::Delivered, lost);
    let first = |parts| with(standing_at(Status::Sent, 3, 0), parts);
    check(
        &first([Open, Arrived, Arrived]),
        D::Delivered,
        "delivered 3",
    );
    check(
        &first([Open, Arrived, Arrived]),
        D::Failed(NO),
        "failed 3: part 1 of 3 did not arrive: did not arrive",
    );
    // It arrived after all.
    let mut late = with(standing_at(Status::Failed, 3, 1), [Arrived, Lost, Arrived]);
    late.attempts.get_mut(&ATTEMPT).unwrap().stage = Some(Stage::Undelivered);
    check(&late, D::Delivered, "delivered 3");
}

#[test]
fn a_group_ends_as_its_reports_one_by_one() {
    let (sent, lost) = (report(D::Sent), report(again()));
    let both = [located(&sent), located(&lost)];
    let merged = merge(of(standing_at(Status::Sending, 0, 0)), &both, ALLOWED);
    let end = merged.rows[&MESSAGE].last().unwrap();
    let part = end.part.unwrap();
    assert_eq!(
        (end.to, part.done, part.attempts),
        (Status::Pending, 0, Some(1))
    );
}
