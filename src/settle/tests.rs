//! What each outcome does to the row.

use proptest::prelude::*;
use uuid::Uuid;

use super::budget::RETRY_MAX;
use super::*;
use crate::message::Scope;

const MINUTE: Duration = Duration::from_secs(60);

/// The second of three attempts, of a message that stays worth sending for another hour.
const TRIES: AttemptBudget = AttemptBudget {
    number: 4,
    before: 1,
    max: 3,
    expires: Moment::from_micros(3_600_000_000),
};

fn of(outcome: Outcome, tries: AttemptBudget) -> Settlement {
    let answer = SendResult {
        outcome,
        started: None,
        finished: Moment::from_micros(0),
    };
    Settlement::of(answer, MessageId(Uuid::from_u128(7)), tries)
}

fn refused(retry: Retry) -> Outcome {
    Outcome::Refused {
        code: Some(30003),
        category: Category::Unreachable,
        text: "out of reach".into(),
        retry,
    }
}

/// (status, outcome in the ledger, whether it counts), and the pause and the reason it comes with.
#[track_caller]
fn check(settled: Settlement, expected: (Status, &str, bool)) -> (Option<Duration>, String) {
    let Settlement::Settled(settled) = settled else {
        panic!("{settled:?}");
    };
    let got = (settled.status(), settled.outcome.as_str(), settled.counts);
    assert_eq!(got, expected);
    (settled.pause(), settled.reason.unwrap())
}

#[test]
fn what_is_certain_to_be_unsent_costs_nothing_and_waits() {
    let unsent = Outcome::Unsent {
        reason: "connection refused".into(),
    };
    let (pause, _) = check(of(unsent, TRIES), (Status::Pending, "unsent", false));
    assert!(pause.is_some());
    for (retry_after, most) in [(Some(7), 7), (None, 8), (Some(1_000_000), 3600)] {
        let throttled = Outcome::Throttled {
            retry_after: retry_after.map(Duration::from_secs),
            code: Some(20429),
            scope: Scope::Account,
            hold: None,
        };
        let settled = of(throttled, TRIES);
        let (pause, _) = check(settled, (Status::Pending, "throttled", false));
        let (pause, most) = (pause.unwrap(), Duration::from_secs(most));
        assert!(pause <= most && pause >= most * 3 / 4, "{pause:?}");
    }
}

#[test]
fn what_is_uncertain_is_unconfirmed() {
    let unknown = Outcome::Unknown {
        reason: "timed out".into(),
    };
    let settled = of(unknown, TRIES);
    let (pause, _) = check(settled, (Status::Unconfirmed, "unknown", true));
    assert_eq!(pause, None);
}

#[test]
fn a_final_refusal_fails_with_its_code() {
    let second_text = Retry::MayHaveArrived;
    for retry in [Retry::No, second_text] {
        let settled = of(refused(retry), TRIES);
        let (pause, reason) = check(settled, (Status::Failed, "refused", true));
        assert_eq!((pause, &*reason), (None, "out of reach (Code: 30003)"));
    }
}

#[test]
fn a_retry_waits_twice_as_long_each_time_and_ends_with_the_attempts() {
    let again = || refused(Retry::after(MINUTE));
    for before in [0, 1] {
        let settled = of(again(), AttemptBudget { before, ..TRIES });
        let (pause, reason) = check(settled, (Status::Pending, "refused", true));
        let (pause, most) = (pause.unwrap(), MINUTE * (1 << before));
        assert!(pause <= most && pause >= most * 3 / 4, "{pause:?}");
        assert_eq!(reason, "out of reach (Code: 30003)");
    }
    for (before, max) in [(2, 3), (5, 3), (0, 1), (0, 0), (0, -1), (i32::MAX, 3)] {
        let tries = AttemptBudget {
            before,
            max,
            ..TRIES
        };
        let (pause, reason) = check(of(again(), tries), (Status::Failed, "refused", true));
        assert_eq!((pause, &*reason), (None, "out of reach (Code: 30003)"));
    }
}

#[test]
fn a_retry_that_would_come_too_late_fails_at_once_and_says_so() {
    let half_an_hour = Retry::after(MINUTE * 30);
    let soon = AttemptBudget {
        expires: Moment::from_micros(60_000_000),
        ..TRIES
    };
    let settled = of(refused(half_an_hour), soon);
    let (pause, reason) = check(settled, (Status::Failed, "refused", true));
    assert_eq!(pause, None);
    assert!(reason.ends_with("(Code: 30003); another attempt would come too late"));
}

#[test]
fn what_the_sender_is_refused_for_costs_the_message_nothing_and_holds_no_account() {
    let last = AttemptBudget { before: 2, ..TRIES };
    let outcome = refused(Retry::HoldSender { pause: MINUTE * 5 });
    assert_eq!(outcome.holds_account(), None);
    let (pause, _) = check(of(outcome, last), (Status::Pending, "refused", false));
    assert_eq!(pause, Some(MINUTE * 5));
}

#[test]
fn what_the_account_is_refused_for_costs_the_message_nothing() {
    let last = AttemptBudget { before: 2, ..TRIES };
    for probe in [5, 60] {
        let probe = MINUTE * probe;
        let settled = of(refused(Retry::HoldAccount { probe }), last);
        let (pause, _) = check(settled, (Status::Pending, "refused", false));
        assert_eq!(pause, Some(MINUTE * 5));
        let throttled = Outcome::Throttled {
            retry_after: Some(MINUTE / 60),
            code: Some(63038),
            scope: Scope::Account,
            hold: Some(probe),
        };
        let settled = of(throttled, last);
        let (pause, reason) = check(settled, (Status::Pending, "throttled", false));
        assert_eq!(pause, Some(MINUTE * 5));
        assert!(reason.ends_with("(Code: 63038)"), "{reason}");
    }
}

proptest! {
    /// Whatever the row says, no more attempts count than it allows, and a retry comes within
    /// its bounds and before the message expires.
    #[test]
    fn retries_keep_within_bounds(
        before in 0..40_i32,
        max in -3..40_i32,
        base_s in 1..4_000_u64,
        left_s in 0..200_000_i64,
        id in any::<u128>(),
    ) {
        let base = Duration::from_secs(base_s);
        let expires = Moment::from_micros(left_s * 1_000_000);
        let tries = AttemptBudget { number: before + 1, before, max, expires };
        let at = Moment::from_micros(0);
        match tries.next(base, MessageId(Uuid::from_u128(id)), at) {
            Ok(pause) => {
                prop_assert!(before + 1 < max);
                prop_assert!(at + pause <= expires);
                let whole = base.saturating_mul(1_u32 << before.min(31)).min(RETRY_MAX.max(base));
                prop_assert!(pause <= whole && pause >= whole / 4 * 3, "{:?} of {:?}", pause, whole);
            }
            Err(NoMore::UsedUp) => prop_assert!(before + 1 >= max),
            Err(NoMore::TooLate) => {
                let whole = base.saturating_mul(1_u32 << before.min(31)).min(RETRY_MAX.max(base));
                prop_assert!(before + 1 < max && at + whole > expires);
            }
        }
    }
}
