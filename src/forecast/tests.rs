//! What is forecast of a message, by its facts and by what is known beside it.

use std::time::Duration;

use super::*;
use crate::message::facts::{Limit, Preferences, QuietHours};
use crate::message::{
    AttemptToken, Capabilities, Channel, Facts, InstanceId, LaneKey, MessageId, Part, Parties,
    ProviderCapabilities, Routes,
};
use crate::policy::{Rules, Validate};
use uuid::Uuid;

mod published;
mod turns;
mod waits;

const fn s(seconds: i64) -> Moment {
    Moment::from_micros(1_767_258_000_000_000 + seconds * 1_000_000)
}

/// Due in ten seconds, and free to be sent.
fn subject() -> Subject {
    let due = s(10);
    Subject {
        claim: Claim {
            id: MessageId(Uuid::from_u128(1)),
            token: AttemptToken(Uuid::nil()),
            number: 1,
            attempts_before: 0,
            max_attempts: 3,
            due,
            wanted_at: due,
            is_retry: false,
            send_before: None,
            lane: LaneKey::default(),
            route: None,
            to_number: "+15005550006".into(),
            from_number: Some("+15005550001".into()),
            body: "hello".into(),
            part: Part::ONLY,
            part_text: None,
            campaign: None,
            facts: Facts::default(),
        },
        paused_until: None,
        paused_by: None,
        pace: None,
        rate: None,
        refused_beside: [].into(),
        opted_out: None,
        is_quarantined: false,
        open_until: None,
        is_limited: false,
    }
}

fn lane() -> PublishedLane {
    PublishedLane {
        permits: 10,
        permits_max: 10,
        send_us: 100_000,
        due_from: s(0),
        due_us: 5_000_000,
        ..PublishedLane::of(&LaneKey::default())
    }
}

fn instance(n: u128, lanes: Vec<PublishedLane>) -> Instance {
    let state = PublishedState {
        at: s(0),
        lanes,
        ..PublishedState::default()
    };
    Instance {
        id: InstanceId(Uuid::from_u128(n)),
        state: Some(state),
    }
}

/// One instance that sends.
fn around() -> Surroundings {
    Surroundings {
        now: s(0),
        instances: vec![instance(1, vec![lane()])],
        heard_at: Some(s(-1)),
        rules: Rules::default(),
        capabilities: ProviderCapabilities::texts(Capabilities::SENDS_ONLY),
        rules_are_known: true,
    }
}

fn refused(since: i64, next: i64) -> PublishedLane {
    PublishedLane {
        refused: Some(Refused {
            since: s(since),
            next_probe_at: Some(s(next)),
            category: "account_issue".into(),
            code: Some(1),
        }),
        ..lane()
    }
}

/// Outcome, time, end and reason, and the same of what follows.
#[track_caller]
fn check(
    change: impl FnOnce(&mut Subject, &mut Surroundings),
    expected: (Outcome, Option<i64>, Option<i64>, Option<&str>),
    then: Option<(Outcome, Option<&str>)>,
    says: &str,
) -> Forecast {
    let (mut subject, mut around) = (subject(), around());
    change(&mut subject, &mut around);
    let forecast = of(&subject, &around);
    let (outcome, at, until, reason) = expected;
    let step = &forecast.step;
    let is = (step.outcome, step.at, step.until, step.reason);
    assert_eq!(is, (outcome, at.map(s), until.map(s), reason), "{forecast}");
    let follows = forecast
        .then
        .as_ref()
        .map(|then| (then.outcome, then.reason));
    assert_eq!(follows, then, "{forecast}");
    assert!(forecast.to_string().contains(says), "{forecast}");
    forecast
}

const SENT: (Outcome, Option<&str>) = (Outcome::Send, None);

#[test]
fn what_is_free_is_sent_when_it_is_due() {
    let at_ten = (Outcome::Send, Some(10), None, None);
    let known = check(
        |_, _| (),
        at_ten,
        None,
        "will be sent at 2026-01-01T09:00:10",
    );
    assert!(known.unknown.is_empty());
    check(
        |m, _| (m.claim.due, m.claim.wanted_at) = (s(-5), s(-5)),
        (Outcome::Send, Some(0), None, None),
        None,
        "will be sent at once",
    );
    check(
        |m, _| {
            m.claim.part = Part { before: 2, of: 8 };
            (m.claim.part_text, m.claim.attempts_before) = (Some("three".into()), 1);
        },
        at_ten,
        None,
        "(part 3 of 8, attempt 2 of 3)",
    );
    let of_user = check(|m, _| m.is_limited = true, at_ten, None, "");
    assert_eq!(of_user.unknown.len(), 1);
    let shown = check(
        |_, a| (a.rules_are_known, a.instances[0].state) = (false, None),
        at_ten,
        None,
        "",
    );
    assert_eq!(shown.unknown.len(), 2);
}

#[test]
fn the_rules_decide_at_the_moment_at_which_it_would_be_claimed() {
    let user = |m: &mut Subject, change: &dyn Fn(&mut Preferences)| {
        let mut chosen = Preferences {
            phone_verified: true,
            ..Preferences::default()
        };
        change(&mut chosen);
        m.claim.facts.user_id = Some(Uuid::from_u128(9));
        m.claim.facts.preferences = Some(chosen);
    };
    let cancelled = |reason| (Outcome::Cancel, Some(10), None, Some(reason));
    check(
        |m, _| user(m, &|p| p.opted_out = true),
        cancelled("opted_out"),
        None,
        "will be cancelled at",
    );
    check(
        |m, _| user(m, &|p| p.phone_verified = false),
        cancelled("not_verified"),
        None,
        "not verified",
    );
    check(
        |m, _| m.opted_out = Some("STOP".into()),
        cancelled("opted_out"),
        None,
        "STOP",
    );
    check(
        |m, _| m.claim.facts.limit = Limit::Over { limit: 2 },
        cancelled("daily_limit"),
        None,
        "limit",
    );
    let failed = |reason| (Outcome::Fail, Some(10), None, Some(reason));
    check(
        |m, _| m.claim.to_number = "abc".into(),
        failed("recipient"),
        None,
        "will fail at",
    );
    check(
        |_, a| a.capabilities = ProviderCapabilities::default(),
        failed("channel"),
        None,
        "no provider",
    );
    // 09:00:10 UTC is within the quiet hours, whose end is at ten.
    let quiet = QuietHours::from_micros(8 * 3_600_000_000, 10 * 3_600_000_000);
    let ten = (Outcome::Defer, Some(10), Some(3_600), Some("quiet_hours"));
    check(
        |m, _| user(m, &|p| p.quiet_hours = quiet),
        ten,
        Some(SENT),
        "then it will be sent at 2026-01-01T10:00",
    );
    check(
        |m, _| {
            user(m, &|p| p.quiet_hours = quiet);
            m.claim.to_number = "abc".into();
        },
        ten,
        Some((Outcome::Fail, Some("recipient"))),
        "then it will fail at",
    );
    check(
        |_, a| a.rules.business_hours = "thu 10:00-11:00".parse().ok(),
        (
            Outcome::Defer,
            Some(10),
            Some(3_600),
            Some("business_hours"),
        ),
        Some(SENT),
        "outside of",
    );
}

#[test]
fn a_number_that_the_provider_may_refuse_is_named_or_fails() {
    let unassigned = |m: &mut Subject| m.claim.to_number = "+15551234567".into();
    let at_ten = (Outcome::Send, Some(10), None, None);
    let says =
        "; the provider may refuse its number: it is in no range that its country has assigned";
    let known = check(|m, _| unassigned(m), at_ten, None, says);
    assert!(known.number_fault.is_some());
    check(
        |m, a| {
            unassigned(m);
            a.rules.validate = Validate::Refuse;
        },
        (Outcome::Fail, Some(10), None, Some("recipient")),
        None,
        "to_number is refused: it is in no range that its country has assigned",
    );
    // What is not sent needs no such word.
    let cancelled = (Outcome::Cancel, Some(10), None, Some("opted_out"));
    let known = check(
        |m, _| {
            unassigned(m);
            m.opted_out = Some("STOP".into());
        },
        cancelled,
        None,
        "STOP",
    );
    assert_eq!(known.number_fault, None);
}

#[test]
fn what_is_too_late_is_cancelled_at_once() {
    let now = (Outcome::Cancel, Some(0), None, Some("too_late"));
    let overdue = |m: &mut Subject| (m.claim.due, m.claim.wanted_at) = (s(-3 * 3600), s(-3 * 3600));
    check(
        |m, _| overdue(m),
        now,
        None,
        "will be cancelled at once: too late",
    );
    // Not only at its due time, and whatever the provider says.
    check(
        |m, a| {
            m.claim.send_before = Some(s(-1));
            a.instances = vec![instance(1, vec![refused(-60, 60)])];
        },
        now,
        None,
        "send_before was",
    );
    // What is paused is not late, but its own end passes.
    check(
        |m, _| {
            overdue(m);
            m.paused_until = Some(s(30));
        },
        (Outcome::Send, Some(30), None, Some("paused")),
        None,
        "is paused until 2026-01-01T09:00:30",
    );
    check(
        |m, _| (m.claim.send_before, m.paused_until) = (Some(s(20)), Some(s(30))),
        (Outcome::Cancel, Some(30), None, Some("too_late")),
        None,
        "then it will be cancelled at",
    );
}
