//! What a journal settles of the attempts of a dead instance.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::message::{Category, Part, Retry, Status};

const NOW: Moment = Moment::from_micros(9_000_000);

fn open(in_flight: bool) -> LeftOpen {
    LeftOpen {
        token: AttemptToken(Uuid::from_u128(2)),
        message: MessageId(Uuid::from_u128(1)),
        number: 1,
        in_flight,
        attempts_before: 0,
        max_attempts: 3,
        journal_incomplete: false,
    }
}

fn begun() -> Begun {
    Begun {
        token: open(true).token,
        message: open(true).message,
        expires_us: i64::MAX,
        at_us: 1_000_000,
        part: Part::ONLY,
    }
}

fn answer(outcome: Outcome) -> Known {
    Known::Answered(Answered {
        to: begun(),
        outcome,
        at_us: 2_000_000,
    })
}

fn accepted() -> Outcome {
    Outcome::Accepted {
        sid: ProviderSid("A".into()),
    }
}

fn refused() -> Outcome {
    Outcome::Refused {
        code: None,
        category: Category::InvalidNumber,
        text: "no".into(),
        retry: Retry::No,
    }
}

fn unsent() -> Outcome {
    Outcome::Unsent {
        reason: "no connection".into(),
    }
}

fn unknown() -> Outcome {
    Outcome::Unknown {
        reason: "timed out".into(),
    }
}

/// In short: `back`, the row's new status with when the request began, or `leave`.
fn summary(recovery: &Recovery<()>) -> String {
    match recovery {
        Recovery::Release(_) => "back".into(),
        Recovery::Leave => "leave".into(),
        Recovery::Record(record) => {
            let started = record.started.map(|at| at.as_micros() / 1_000_000);
            let to = match &record.settlement {
                Settlement::Accepted { .. } => Status::Sent,
                Settlement::Settled(settled) => settled.status(),
            };
            format!("{} {started:?}", to.as_str())
        }
    }
}

#[test]
fn a_journal_settles_what_it_knows_and_nothing_else() {
    for (known, here, in_flight, reaped) in [
        (Known::NeverBegan, false, "back", "back"),
        (Known::Nothing, false, "leave", "leave"),
        (Known::Nothing, true, "unconfirmed None", "leave"),
        (Known::Began(begun()), false, "leave", "leave"),
        (Known::Began(begun()), true, "unconfirmed Some(1)", "leave"),
        (answer(accepted()), false, "sent Some(1)", "sent Some(1)"),
        (answer(refused()), false, "failed Some(1)", "back"),
        (answer(unsent()), false, "pending Some(1)", "back"),
        // Another timer alone must not resolve it: it began, and how it ended is not known.
        (answer(unknown()), false, "unconfirmed Some(1)", "leave"),
    ] {
        for (flying, expected) in [(true, in_flight), (false, reaped)] {
            let got = recover::<()>(&open(flying), known.clone(), here, NOW);
            assert_eq!(summary(&got), expected, "{known:?} {here} {flying}");
        }
    }
}

#[test]
fn only_proof_is_merged_into_a_restored_database() {
    for (outcome, is_proof) in [
        (accepted(), true),
        (refused(), false),
        (unsent(), false),
        (unknown(), false),
    ] {
        let Known::Answered(answer) = answer(outcome) else {
            unreachable!("made so above")
        };
        let record = answer.proof::<()>();
        assert_eq!(record.is_some(), is_proof, "{answer:?}");
        if let Some(record) = record {
            assert_eq!(record.token, open(true).token);
            let span = record.started.zip(record.finished);
            let span = span.map(|(from, to)| to.since(from));
            assert_eq!(span, Some(Duration::from_secs(1)));
        }
    }
}

#[test]
fn of_what_was_reaped_only_that_never_began_which_the_own_journal_does_not_know() {
    let unbegun = |left: LeftOpen, known: bool| !reaped_unbegun(&[left], |_| known).is_empty();
    assert!(unbegun(open(false), false));
    assert!(!unbegun(open(false), true));
    assert!(!unbegun(open(true), false));
}

#[test]
fn a_database_that_does_not_go_on_from_where_it_was_is_put_in_quarantine() {
    let database = |n| DatabaseId {
        system: n,
        timeline: 1,
        database: 5,
    };
    let is = |n, reached| {
        Some(LogPosition {
            database: database(n),
            reached,
        })
    };
    let seen = |n: Option<i64>, reached, before: Option<i64>| {
        Some(LastSeen {
            database: n.map(database),
            reached,
            quarantined_before: before.map(Moment::from_micros),
            latest: None,
        })
    };
    let check = |seen, is, accept, moved, before: Option<i64>, accepted| {
        let got = start(seen, is, accept, NOW);
        let expected = Start {
            moved,
            quarantine_before: before.map(Moment::from_micros),
            merge_proofs: before.is_some(),
            accepted,
        };
        assert_eq!(got, expected, "{seen:?} {is:?} {accept}");
    };
    let now = Some(NOW.as_micros());
    check(None, is(1, 10), true, false, None, false);
    check(seen(Some(1), 10, None), is(1, 10), true, false, None, false);
    check(seen(Some(1), 10, None), is(1, 9), false, true, now, false);
    check(seen(Some(1), 10, None), is(2, 99), true, true, now, true);
    // Nothing is known of where one of them is.
    check(seen(Some(1), 10, None), None, true, false, None, false);
    check(seen(None, 10, None), is(1, 9), true, false, None, false);
    // The one before had not ended.
    check(
        seen(Some(1), 10, Some(5)),
        is(1, 11),
        false,
        false,
        Some(5),
        false,
    );
    check(
        seen(Some(1), 10, Some(5)),
        is(1, 11),
        true,
        false,
        Some(5),
        true,
    );
    check(
        seen(Some(1), 10, Some(5)),
        is(1, 9),
        false,
        true,
        now,
        false,
    );
}

#[test]
fn what_began_is_in_quarantine_even_by_a_clock_that_is_behind() {
    for (latest, expected) in [
        (None, 100),
        (Some(90), 100),
        (Some(100), 101),
        (Some(130), 131),
    ] {
        let before = quarantine_before(Moment::from_micros(100), latest.map(Moment::from_micros));
        assert_eq!(before, Moment::from_micros(expected), "{latest:?}");
    }
}
