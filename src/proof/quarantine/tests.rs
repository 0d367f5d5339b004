//! What a list of the provider proves about messages in quarantine.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::message::{Delivery, Failure};
use crate::proof::report::ProviderStatus;

const TO: &str = "+13105551234";
const FROM: &str = "+15005550006";
const MINUTE: Duration = Duration::from_secs(60);
const LATE: Duration = ABSENT_AFTER;

fn at(seconds: i64) -> Moment {
    Moment::from_micros(1_000_000_000_000 + seconds * 1_000_000)
}

/// In quarantine, written at time 0.
fn row(n: u128, text: &str) -> QuarantinedRow {
    QuarantinedRow {
        id: MessageId(Uuid::from_u128(n)),
        to: TO.into(),
        from: None,
        text: Some(TextKey::of(text)),
        since: at(0),
        touched: Some(at(0)),
        version: 0,
        lane: LaneKey::default(),
    }
}

fn templated(n: u128) -> QuarantinedRow {
    QuarantinedRow {
        text: None,
        ..row(n, "")
    }
}

fn status(delivery: Delivery) -> ProviderStatus {
    let word = delivery.stage().as_str();
    ProviderStatus {
        delivery,
        word,
        ..ProviderStatus::TAKEN
    }
}

/// Listed, made so many seconds into it.
fn shown(sid: &str, text: &str, seconds: i64) -> ProviderMessage {
    ProviderMessage {
        sid: ProviderSid(sid.into()),
        status: Some(status(Delivery::Delivered)),
        to: TO.into(),
        from: Some(FROM.into()),
        body: text.into(),
        by_api: true,
        created: Some(at(seconds)),
        price: None,
    }
}

fn list(shown: &[ProviderMessage]) -> Listing<'_> {
    Listing {
        shown,
        whole: true,
        ..Listing::default()
    }
}

/// In short: the sid, `absent`, or why not.
fn summary(fates: &[Fate]) -> String {
    let words = fates.iter().map(|fate| match fate {
        Fate::Sent { sid, .. } => sid.0.clone(),
        Fate::NotSent => "absent".into(),
        Fate::Stays(why) => format!("{why:?}").to_lowercase(),
    });
    words.collect::<Vec<_>>().join(" ")
}

fn check(rows: &[QuarantinedRow], list: &Listing<'_>, age: Duration, expected: &str) {
    let fates = fates(rows, list, age);
    assert_eq!(summary(&fates), expected, "{rows:?} {list:?}");
}

#[test]
fn one_that_is_alike_is_proof_at_once_and_none_is_none_until_no_list_lags() {
    let rows = [row(1, "hello")];
    check(
        &rows,
        &list(&[shown("A", " hello\n", 9)]),
        Duration::ZERO,
        "A",
    );
    check(&rows, &list(&[]), Duration::ZERO, "early");
    check(&rows, &list(&[]), LATE.saturating_sub(MINUTE), "early");
    check(&rows, &list(&[]), LATE, "absent");
    let partial = Listing {
        whole: false,
        ..list(&[])
    };
    check(&rows, &partial, LATE, "partial");
}

#[test]
fn what_is_somebodys_or_cannot_be_it_proves_nothing_and_hides_nothing() {
    let rows = [row(1, "hello")];
    let ours = [shown("A", "hello", 9)];
    let known = Listing {
        known: ["A".to_owned()].into(),
        ..list(&ours)
    };
    check(&rows, &known, LATE, "absent");
    let reply = ProviderMessage {
        by_api: false,
        ..shown("A", "hello", 9)
    };
    check(&rows, &list(&[reply]), LATE, "absent");
    // Before it was written: by clocks that may be ten minutes apart, and two seconds.
    for (seconds, expected) in [
        (-2, "A"),
        (-3, "unlike"),
        (-602, "unlike"),
        (-603, "absent"),
    ] {
        let before = [shown("A", "hello", seconds)];
        check(&rows, &list(&before), LATE, expected);
    }
    let from_another = [QuarantinedRow {
        from: Some("+15005550007".into()),
        ..row(1, "hello")
    }];
    check(&from_another, &list(&ours), LATE, "absent");
}

/// Its user may have given it another text since the backup.
#[test]
fn an_unknown_message_keeps_a_row_whatever_its_text() {
    let other = [shown("A", "hello, again", 9)];
    check(&[row(1, "hello")], &list(&other), LATE, "unlike");
    check(&[templated(1)], &list(&other), LATE, "unlike");
    check(&[templated(1)], &list(&[]), LATE, "absent");
    // Once its owner is known, it blocks no other row.
    let rows = [row(1, "hello"), row(2, "hello, again")];
    check(&rows, &list(&other), LATE, "absent A");
    check(&rows, &list(&other), MINUTE, "early A");
}

#[test]
fn twins_are_distinguished_by_their_number_alone() {
    let twins = [row(1, "hello"), row(2, "hello")];
    let one = [shown("A", "hello", 9)];
    let two = [shown("B", "hello", 99), shown("A", "hello", 9)];
    check(&twins, &list(&one), LATE, "shared shared");
    // The row due first gets the oldest message.
    check(&twins, &list(&two), Duration::ZERO, "A B");
    check(&twins[..1], &list(&two), LATE, "shared");
    // One of them may be the retry of the other.
    let lost = ProviderMessage {
        status: Some(status(Delivery::Undelivered(Failure::UNEXPLAINED))),
        ..shown("A", "hello", 9)
    };
    check(
        &twins,
        &list(&[two[0].clone(), lost.clone()]),
        LATE,
        "shared shared",
    );
    check(&twins[..1], &list(&[lost]), LATE, "A");
    // Written between the two: the first message cannot be its own.
    let later = [
        row(1, "hello"),
        QuarantinedRow {
            since: at(50),
            ..row(2, "hello")
        },
    ];
    check(&later, &list(&two), LATE, "shared shared");
    check(&later, &list(&one), LATE, "A absent");
    // A template may be anything.
    check(
        &[row(1, "hello"), templated(2)],
        &list(&one),
        LATE,
        "shared unlike",
    );
}

#[test]
fn an_attempt_in_doubt_may_have_been_it() {
    let ours = [shown("A", "hello", 9)];
    for (since, expected) in [(9, "shared"), (99, "A")] {
        let rivals = [(TextKey::of("hello"), vec![at(since)])].into();
        let list = Listing {
            rivals,
            ..list(&ours)
        };
        check(&[row(1, "hello")], &list, LATE, expected);
    }
}

#[test]
fn of_a_look_everything_is_shown_and_nothing_of_a_text() {
    let mut looked = Reconciliation::default();
    assert!(looked.is_over());
    for (n, why) in [
        (1, StayReason::Shared),
        (2, StayReason::NoResponse),
        (3, StayReason::Shared),
    ] {
        looked.stays(MessageId(Uuid::from_u128(n)), why);
    }
    assert_eq!(
        looked.reasons[&MessageId(Uuid::from_u128(3))],
        StayReason::Shared
    );
    assert!(!looked.is_over());
    assert_eq!(
        looked.in_words(),
        "2: ambiguous match with the listed messages; 1: the provider did not respond"
    );
    let debug = format!("{:?}", row(1, "hello"));
    assert!(!debug.contains("3105551234"), "{debug}");
}

proptest! {
    /// Whatever is held and listed: no message is two rows', none is anybody's that somebody has,
    /// none is a row's with another text, and nothing is cleared beside an unknown message.
    #[test]
    fn no_message_is_given_twice_and_nothing_unexplained_is_passed_over(
        held in prop::collection::vec((0u8..4, 0i64..20), 0..6),
        listed in prop::collection::vec((0u8..3, -5i64..25, any::<bool>(), any::<bool>()), 0..6),
        late in any::<bool>(),
    ) {
        let rows: Vec<_> = held.iter().zip(1..).map(|((text, since), n)| {
            let text = (*text < 3).then(|| TextKey::of(&text.to_string()));
            QuarantinedRow { text, since: at(*since), ..row(n, "") }
        }).collect();
        let shown: Vec<_> = listed.iter().zip(1..).map(|((text, made, arrived, _), n)| ProviderMessage {
            status: Some(status(if *arrived { Delivery::Delivered } else { Delivery::Failed(Failure::UNEXPLAINED) })),
            ..shown(&format!("SM{n}"), &text.to_string(), *made)
        }).collect();
        let theirs = listed.iter().zip(&shown).filter(|((.., known), _)| *known);
        let known: BTreeSet<_> = theirs.map(|(_, shown)| shown.sid.0.clone()).collect();
        let list = Listing { known: known.clone(), ..list(&shown) };
        let fates = fates(&rows, &list, if late { LATE } else { Duration::ZERO });
        prop_assert_eq!(fates.len(), rows.len());
        let mut taken = BTreeSet::new();
        for (row, fate) in rows.iter().zip(&fates) {
            if let Fate::Sent { sid, .. } = fate {
                let it = shown.iter().find(|s| s.sid == *sid).expect("it is listed");
                prop_assert!(!known.contains(&sid.0));
                prop_assert!(taken.insert(sid.0.clone()), "twice");
                prop_assert_eq!(row.text, Some(TextKey::of(&it.body)));
            }
        }
        for (row, fate) in rows.iter().zip(&fates) {
            let unexplained = shown.iter().any(|s| {
                !known.contains(&s.sid.0) && !taken.contains(&s.sid.0)
                    && could_be(s, &row.to, None, row.since)
            });
            prop_assert!(!(unexplained && *fate == Fate::NotSent));
            prop_assert!(late || *fate != Fate::NotSent);
        }
    }
}
