//! What a list of the provider proves about an uncertain outcome, and what it does not.

use proptest::prelude::*;

use super::*;

mod idempotent;

const MINUTE: Duration = Duration::from_secs(60);
const BEGAN: Moment = Moment::from_micros(1_000_000_900_000);
const TO: &str = "+13105551234";
const FROM: &str = "+15005550006";

fn at(seconds: i64) -> Moment {
    Moment::from_micros(1_000_000_000_000 + seconds * 1_000_000)
}

fn shown() -> ProviderMessage {
    ProviderMessage {
        sid: ProviderSid("SM1".into()),
        status: None,
        to: TO.into(),
        from: Some(FROM.into()),
        body: "hello\n".into(),
        by_api: true,
        created: Some(at(0)),
        price: None,
    }
}

fn sent() -> SentText {
    SentText {
        to: TO.into(),
        from: Some(FROM.into()),
        text: TextKey::of("hello"),
    }
}

#[test]
fn only_what_could_be_it_resembles_it() {
    let check = |shown: ProviderMessage, sent: &SentText, expected| {
        assert_eq!(resembles(&shown, sent, BEGAN), expected, "{shown:?}");
    };
    let ours = sent();
    check(shown(), &ours, true);
    check(
        ProviderMessage {
            created: Some(at(-2)),
            ..shown()
        },
        &ours,
        true,
    );
    check(
        ProviderMessage {
            created: Some(at(-3)),
            ..shown()
        },
        &ours,
        false,
    );
    check(
        ProviderMessage {
            created: Some(at(9_999)),
            ..shown()
        },
        &ours,
        true,
    );
    check(
        ProviderMessage {
            created: None,
            ..shown()
        },
        &ours,
        true,
    );
    check(
        ProviderMessage {
            by_api: false,
            ..shown()
        },
        &ours,
        false,
    );
    check(
        ProviderMessage {
            body: "hello!".into(),
            ..shown()
        },
        &ours,
        false,
    );
    check(
        ProviderMessage {
            to: "+13105550000".into(),
            ..shown()
        },
        &ours,
        false,
    );
    let other = Some("+15005550009".into());
    check(
        ProviderMessage {
            from: other.clone(),
            ..shown()
        },
        &ours,
        false,
    );
    check(
        ProviderMessage {
            from: None,
            ..shown()
        },
        &ours,
        true,
    );
    // Unknown, or a service that picks a number: any sender may be it.
    let service = Some("MG0123456789abcdef0123456789abcdef".into());
    for from in [None, service, Some("ACME".into())] {
        let anybodys = SentText { from, ..sent() };
        check(
            ProviderMessage {
                from: other.clone(),
                ..shown()
            },
            &anybodys,
            true,
        );
    }
    assert_eq!(known_sender(&ours).as_deref(), Some(FROM));
}

fn candidates(created: &[i64]) -> Vec<Candidate> {
    let one = |(n, seconds): (usize, &i64)| Candidate {
        sid: ProviderSid(format!("SM{n}")),
        created: Some(at(*seconds)),
    };
    created.iter().enumerate().map(one).collect()
}

#[test]
fn one_match_that_is_nobodys_is_proof_and_nothing_else_is() {
    let check = |created: &[i64], known: &[&str], rivals: &[i64], expected: Match| {
        let known = known.iter().map(|s| (*s).to_owned()).collect();
        let rivals: Vec<_> = rivals.iter().map(|s| at(*s)).collect();
        let got = Match::among(&candidates(created), &[], &known, &rivals, true);
        assert_eq!(got, expected, "{created:?} {rivals:?}");
    };
    let one = |n: usize| Match::One(ProviderSid(format!("SM{n}")));
    check(&[], &[], &[], Match::None);
    check(&[0], &[], &[], one(0));
    check(&[0], &["SM0"], &[], Match::None);
    check(&[0, 1], &["SM0"], &[], one(1));
    check(&[0, 1], &[], &[], Match::Several(2));
    check(&[0, 1, 2], &["SM1"], &[-9], Match::Several(2));
    check(&[0], &[], &[-9], Match::Shared);
    check(&[0], &[], &[2], Match::Shared);
    check(&[0], &[], &[3], one(0));
    let part = Match::among(&candidates(&[0]), &[], &BTreeSet::new(), &[], false);
    assert_eq!(part, Match::Partial);
}

/// A provider may show numbers and texts redacted: such a message proves nothing, and cannot be excluded
/// either.
#[test]
fn what_is_redacted_is_neither_proof_nor_absence() {
    let check = |to: &str, body: &str, possible| {
        let shown = ProviderMessage {
            to: to.into(),
            body: body.into(),
            ..shown()
        };
        let got = cannot_be_excluded(&shown, TO, Some(FROM), BEGAN);
        assert_eq!(got, possible, "{to} {body}");
        let proves = resembles(&shown, &sent(), BEGAN);
        assert_eq!(proves, to == TO && body == "hello", "{to} {body}");
    };
    for body in ["hello", "", "***", "[REDACTED]"] {
        check(TO, body, true);
        check("+1310555XXXX", body, true);
        check("+1310555****", body, true);
        check("", body, true);
        check("XXXX", body, true);
        check("+1310556XXXX", body, false);
        check("+131055XXXX", body, false);
        check("+13105551235", body, false);
    }
}

/// A provider may show texts redacted, and its clock may be far from the database's.
#[test]
fn nothing_is_absent_while_something_to_the_number_is_nobodys() {
    let others = [ProviderSid("SM8".into()), ProviderSid("SM9".into())];
    let check = |known: &[&str], expected: Match, minutes: u32, put_back: bool| {
        let known = known.iter().map(|s| (*s).to_owned()).collect();
        let found = Match::among(&[], &others, &known, &[], true);
        assert_eq!(found, expected);
        let row = row(None, Status::Unconfirmed);
        let policy = InDoubt::ResendIfAbsent;
        let got = resolve(&found, MINUTE * minutes, Some(&row), policy, &PROVIDER);
        assert_eq!(
            got == Resolution::PutBack(ResendReason::Policy(policy)),
            put_back,
            "{got:?}"
        );
    };
    check(&[], Match::Unlike(2), 60, false);
    check(&["SM8"], Match::Unlike(1), 60, false);
    check(&["SM8", "SM9"], Match::None, 60, true);
    check(&["SM8", "SM9"], Match::None, 14, false);
}

fn row(policy: Option<InDoubt>, status: Status) -> UnconfirmedRow {
    UnconfirmedRow {
        status: Some(status),
        policy,
    }
}

/// A provider without idempotency keys.
const PROVIDER: Capabilities = Capabilities {
    look_up: true,
    ..Capabilities::SENDS_ONLY
};

#[test]
fn a_policy_acts_where_it_says_and_on_what_it_says() {
    use InDoubt::{Hold, Resend, ResendIfAbsent};
    let check = |found: &Match, minutes: u32, own, default, expected: Option<InDoubt>| {
        let row = row(own, Status::Unconfirmed);
        let step = resolve(found, MINUTE * minutes, Some(&row), default, &PROVIDER);
        let expected = expected.map_or(Resolution::Wait, |policy| {
            Resolution::PutBack(ResendReason::Policy(policy))
        });
        assert_eq!(step, expected, "{found:?} {minutes} {own:?} {default:?}");
    };
    let silence = Match::NoResponse("no".into());
    for found in [&Match::None, &Match::Partial, &silence] {
        check(found, 60, None, Hold, None);
        check(found, 60, Some(Hold), Resend, None);
        check(found, 0, None, Resend, Some(Resend));
        check(found, 14, Some(ResendIfAbsent), Resend, None);
    }
    check(&Match::None, 15, None, ResendIfAbsent, Some(ResendIfAbsent));
    check(
        &Match::None,
        15,
        Some(ResendIfAbsent),
        Hold,
        Some(ResendIfAbsent),
    );
    check(&Match::Partial, 60, None, ResendIfAbsent, None);
    check(&silence, 60, None, ResendIfAbsent, None);
    for found in [Match::Several(2), Match::Shared] {
        check(&found, 60, None, ResendIfAbsent, None);
        check(&found, 60, None, Resend, None);
    }
}

#[test]
fn looks_end_and_silence_counts_as_none() {
    let (mut asked, mut age, mut looks) = (0, Duration::ZERO, 0);
    loop {
        let (n, next) = next_query(&Match::None, asked, age);
        (asked, looks) = (n, looks + 1);
        match next {
            Some(pause) => age += pause,
            None => break,
        }
    }
    assert_eq!((looks, asked), (5, 5));
    let silence = Match::NoResponse("no".into());
    assert_eq!(next_query(&silence, 1, MINUTE), (1, Some(MINUTE / 2)));
}

fn any_match() -> impl Strategy<Value = Match> {
    prop_oneof![
        Just(Match::None),
        Just(Match::Partial),
        Just(Match::Shared),
        (2usize..9).prop_map(Match::Several),
        Just(Match::One(ProviderSid("SM1".into()))),
        Just(Match::NoResponse("no".into())),
    ]
}

proptest! {
    /// Nothing is adopted that belongs to another attempt, or could.
    #[test]
    fn what_is_adopted_is_one_and_nobodys(
        created in prop::collection::vec(-5i64..5, 0..4),
        known in prop::collection::btree_set(0usize..4, 0..4),
        rivals in prop::collection::vec(-9i64..9, 0..3),
        whole in any::<bool>(),
    ) {
        let all = candidates(&created);
        let known: BTreeSet<String> = known.iter().map(|n| format!("SM{n}")).collect();
        let since: Vec<_> = rivals.iter().map(|s| at(*s)).collect();
        if let Match::One(sid) = Match::among(&all, &[], &known, &since, whole) {
            let free: Vec<_> = all.iter().filter(|m| !known.contains(&m.sid.0)).collect();
            prop_assert!(whole && free.len() == 1 && free[0].sid == sid);
            let created = free[0].created.expect("given");
            prop_assert!(since.iter().all(|rival| created < from_when(*rival)));
        }
    }

    /// Only a row that this attempt left unconfirmed is set back, and never against evidence.
    #[test]
    fn hold_holds_and_signs_are_heeded(
        found in any_match(),
        minutes in 0u32..100,
        own in prop::option::of(prop::sample::select(InDoubt::ALL.to_vec())),
        default in prop::sample::select(InDoubt::ALL.to_vec()),
        status in prop::sample::select(Status::ALL.to_vec()),
    ) {
        let row = row(own, status);
        let step = resolve(&found, MINUTE * minutes, Some(&row), default, &PROVIDER);
        if let Resolution::PutBack(ResendReason::Policy(policy)) = &step {
            prop_assert_eq!(*policy, own.unwrap_or(default));
            prop_assert!(*policy != InDoubt::Hold && status == Status::Unconfirmed);
            prop_assert!(!matches!(found, Match::One(_) | Match::Several(_) | Match::Shared));
            prop_assert!(*policy == InDoubt::Resend || minutes >= 15);
        }
        prop_assert_eq!(matches!(step, Resolution::Adopt(_)), matches!(found, Match::One(_)));
        let gone = resolve(&found, MINUTE * minutes, None, default, &PROVIDER);
        prop_assert!(!matches!(gone, Resolution::PutBack(_)));
    }
}
