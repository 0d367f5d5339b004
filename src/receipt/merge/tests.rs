use proptest::prelude::*;

use uuid::Uuid;

use super::*;
use crate::message::status::{Writer, transition};
use crate::message::{MessageId, Moment};
use crate::store::receipts::Room;

const HOUR: Duration = Duration::from_secs(3600);

fn standing(row: Status, reached: Option<Reached>) -> Standing {
    Standing {
        message: MessageId(Uuid::from_u128(1)),
        row: Some(row),
        row_is_of_this_sid: true,
        latest: true,
        sid_conflict: false,
        reached: reached.map(|r| r.as_str().to_owned()),
        room: Some(room(1, 0)),
    }
}

/// So many attempts of three, so many minutes after the wanted time.
fn room(attempts: i32, minutes: u64) -> Room {
    Room {
        attempts,
        max_attempts: 3,
        wanted_at: Moment::default(),
        send_before: None,
        now: Moment::default() + Duration::from_secs(minutes * 60),
    }
}

fn merged(standing: &Standing, reached: Reached) -> Change {
    let word = Word {
        reached,
        code: None,
    };
    merge(standing, word, HOUR)
}

fn check(from: Status, before: Option<Reached>, then: Reached, to: Option<Status>) {
    let got = match merged(&standing(from, before), then) {
        Change::Advance { row, .. } => row,
        other => panic!("{other:?}"),
    };
    assert_eq!(got, to, "{from:?} {before:?} {then:?}");
}

#[test]
fn proof_counts_in_every_state_and_a_denial_only_where_the_attempt_holds_the_row() {
    use Reached as R;
    use Status as S;
    for from in [
        S::Sending,
        S::Unconfirmed,
        S::Pending,
        S::Failed,
        S::Cancelled,
    ] {
        check(from, None, R::Queued, Some(S::Sent));
        check(from, None, R::Delivered, Some(S::Delivered));
    }
    check(S::Sending, None, R::Failed, Some(S::Failed));
    check(S::Unconfirmed, None, R::Undelivered, Some(S::Failed));
    check(S::Pending, None, R::Failed, None);
    check(S::Cancelled, None, R::Failed, None);
    check(S::Sent, None, R::Sending, None);
    check(S::Sent, Some(R::Sent), R::Delivered, Some(S::Delivered));
    check(S::Sent, Some(R::Sent), R::Canceled, Some(S::Failed));
    check(S::Delivered, None, R::Sent, None);
    check(S::Delivered, Some(R::Delivered), R::Read, None);
}

#[test]
fn another_attempt_is_not_denied_by_this_one() {
    let newer_in_flight = Standing {
        latest: false,
        ..standing(Status::Sending, None)
    };
    let row = |s: &Standing, r| match merged(s, r) {
        Change::Advance { row, .. } => row,
        other => panic!("{other:?}"),
    };
    assert_eq!(row(&newer_in_flight, Reached::Failed), None);
    assert_eq!(row(&newer_in_flight, Reached::Sent), Some(Status::Sent));
    let newer_sent = Standing {
        row_is_of_this_sid: false,
        ..standing(Status::Sent, None)
    };
    assert_eq!(row(&newer_sent, Reached::Failed), None);
}

#[test]
fn ranks_only_grow_and_of_two_ends_the_first_stays() {
    use Reached as R;
    let sent = |before, then| merged(&standing(Status::Sent, Some(before)), then);
    assert_eq!(sent(R::Sent, R::Sent), Change::Nothing);
    assert_eq!(sent(R::Sent, R::Queued), Change::Nothing);
    assert_eq!(sent(R::Read, R::Delivered), Change::Nothing);
    assert_eq!(sent(R::Failed, R::Undelivered), Change::Nothing);
    assert_eq!(sent(R::Failed, R::Sent), Change::Nothing);
    assert_eq!(sent(R::Delivered, R::Failed), Change::Contradiction);
    assert_eq!(sent(R::Failed, R::Delivered), Change::Contradiction);
    assert_eq!(sent(R::Undelivered, R::Read), Change::Contradiction);
    let two = Standing {
        sid_conflict: true,
        ..standing(Status::Sent, None)
    };
    assert_eq!(merged(&two, R::Delivered), Change::Contradiction);
}

#[test]
fn what_could_not_be_delivered_is_tried_again_where_its_code_says_so() {
    let check = |from, code, room: Room, expected: Option<(u64, u64, bool)>| {
        let standing = Standing {
            room: Some(room),
            ..standing(from, None)
        };
        let word = Word {
            reached: Reached::Undelivered,
            code: Some(code),
        };
        let Change::Advance { row, again, .. } = merge(&standing, word, HOUR) else {
            panic!("{code}");
        };
        let became = expected.map_or(Status::Failed, |_| Status::Pending);
        assert_eq!(row, Some(became), "{from:?} {code} {room:?}");
        let got = again.map(|a| (a.pause.as_secs(), a.counts));
        match (got, expected) {
            (None, None) => {}
            (Some((pause, counts)), Some((least, most, counted))) => {
                assert!((least..=most).contains(&pause), "{code} {pause}");
                assert_eq!(counts, counted, "{code}");
            }
            other => panic!("{code} {other:?}"),
        }
    };
    for from in [Status::Sent, Status::Sending, Status::Unconfirmed] {
        check(from, 30003, room(1, 0), Some((45, 60, true)));
        check(from, 30003, room(2, 0), Some((90, 120, true)));
        check(from, 30003, room(3, 0), None);
        check(from, 30003, room(1, 60), None);
        check(from, 30001, room(1, 0), Some((225, 300, true)));
        check(from, 30022, room(1, 0), Some((225, 300, true)));
        check(from, 30002, room(3, 0), Some((300, 300, false)));
        check(from, 30002, room(1, 56), None);
        // It may have arrived all the same.
        check(from, 30008, room(1, 0), None);
        check(from, 30005, room(1, 0), None);
        check(from, 12345, room(1, 0), None);
        let soon = Room {
            send_before: Some(Moment::default() + Duration::from_secs(30)),
            ..room(1, 0)
        };
        check(from, 30003, soon, None);
    }
}

#[test]
fn a_failure_that_is_not_the_rows_is_no_reason_to_try_again() {
    let word = Word {
        reached: Reached::Failed,
        code: Some(30003),
    };
    let newer = Standing {
        row_is_of_this_sid: false,
        ..standing(Status::Sent, None)
    };
    let done = [
        newer,
        standing(Status::Delivered, None),
        standing(Status::Cancelled, None),
        standing(Status::Pending, None),
    ];
    for standing in done {
        let change = merge(&standing, word, HOUR);
        let expected = Change::Advance {
            row: None,
            again: None,
            message: "failed",
        };
        assert_eq!(change, expected, "{standing:?}");
    }
}

fn any_reached() -> impl Strategy<Value = Reached> {
    prop::sample::select(Reached::ALL.to_vec())
}

proptest! {
    /// Whatever comes in whatever order: every step is one the table of transitions has,
    /// the rank never falls, a repeat changes nothing, and without contradictions the end
    /// is that of the highest rank.
    #[test]
    fn any_order_is_survived(
        from in prop::sample::select(Status::ALL.to_vec()),
        calls in prop::collection::vec(any_reached(), 1..12),
        latest in any::<bool>(),
        code in prop::sample::select(vec![None, Some(30003), Some(30002), Some(30008)]),
    ) {
        let mut now = Standing { latest, ..standing(from, None) };
        for call in calls {
            let rank = |s: &Standing| s.reached.as_deref().and_then(Reached::parse).map(Reached::rank);
            let before = rank(&now);
            if let Change::Advance { row, .. } = merge(&now, Word { reached: call, code }, HOUR) {
                if let (Some(from), Some(to)) = (now.row, row) {
                    prop_assert!(transition(Some(from), to, Writer::Daemon), "{from:?} {to:?}");
                    now.row = Some(to);
                }
                now.reached = Some(call.as_str().to_owned());
            }
            prop_assert!(rank(&now) >= before);
            let again = merge(&now, Word { reached: call, code }, HOUR);
            prop_assert!(!matches!(again, Change::Advance { .. }), "{again:?}");
        }
    }

    #[test]
    fn without_contradiction_the_order_does_not_matter(
        calls in prop::collection::vec(
            prop::sample::select(vec![
                Reached::Accepted, Reached::Queued, Reached::Sending, Reached::Sent, Reached::Delivered,
            ]), 1..8).prop_shuffle(),
    ) {
        let mut now = standing(Status::Sending, None);
        for call in &calls {
            if let Change::Advance { row, .. } = merged(&now, *call) {
                now.row = row.or(now.row);
                now.reached = Some(call.as_str().to_owned());
            }
        }
        let highest = calls.iter().max_by_key(|r| r.rank()).unwrap();
        prop_assert_eq!(now.row, Some(highest.row_status()));
    }
}
