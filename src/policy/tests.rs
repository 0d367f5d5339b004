//! The policy: which claims are sent, deferred, cancelled and rejected.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::message::facts::{Event, Template};
use crate::message::{AttemptToken, Capabilities, Facts, LaneKey, MessageId, Part};

mod channels;
mod costs;
mod email;
mod guards;
mod hours;
mod numbers;
mod parts;
mod whatsapp;

/// What the provider of these tests can do.
pub(super) const PROVIDER: Capabilities = Capabilities {
    max_chars: 320,
    ..Capabilities::SENDS_ONLY
};

const TO: &str = "+13105551234";
const SECRET: &str = "Your code is 4711";

/// 2026-01-01 09:00:00 UTC.
const NINE: Moment = Moment::from_micros(1_767_258_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);
const TICK: Duration = Duration::from_micros(1);

pub(super) fn claim() -> Claim {
    Claim {
        id: MessageId(Uuid::from_u128(1)),
        token: AttemptToken(Uuid::from_u128(2)),
        number: 1,
        attempts_before: 0,
        max_attempts: 3,
        due: NINE,
        wanted_at: NINE,
        is_retry: false,
        send_before: None,
        lane: LaneKey::default(),
        route: None,
        to_number: TO.into(),
        from_number: None,
        body: SECRET.into(),
        part: Part::ONLY,
        part_text: None,
        campaign: None,
        facts: Facts::default(),
    }
}

fn rules() -> Rules {
    Rules {
        default_sender: Some("+15005550006".parse().unwrap()),
        max_lateness: HOUR,
        ..Rules::default()
    }
}

/// A verdict as a line; no reason may contain the number or the text.
fn verdict(claim: &Claim, rules: &Rules, now: Moment) -> String {
    let verdict = judge(claim, rules, &ProviderCapabilities::all(PROVIDER), now);
    let debug = format!("{verdict:?}");
    for private in [claim.to_number.trim(), claim.body.trim()] {
        assert!(private.is_empty() || !debug.contains(private), "{debug}");
    }
    match verdict {
        Verdict::Send(cleared) => {
            assert_eq!(cleared.id(), claim.id);
            assert_eq!(cleared.token(), claim.token);
            assert_eq!(cleared.due(), claim.due);
            assert_eq!(cleared.to().as_str(), claim.to_number.trim());
            assert_eq!(cleared.body(), claim.body);
            assert!(now <= cleared.expires());
            let from = cleared.from().map_or("nobody", Sender::as_str);
            format!("send from {from}")
        }
        Verdict::Defer { until, reason } => format!("defer to {until}: {reason}"),
        Verdict::Cancel { reason } => format!("cancel: {reason}"),
        Verdict::Reject { reason } => format!("reject: {reason}"),
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Claim, &mut Rules), now: Moment, expected: &str) {
    let (mut claim, mut rules) = (claim(), rules());
    change(&mut claim, &mut rules);
    assert_eq!(verdict(&claim, &rules, now), expected);
}

#[test]
fn in_time_it_goes() {
    check(|_, _| (), NINE, "send from +15005550006");
    check(|_, _| (), NINE + HOUR, "send from +15005550006");
    // Judged in its lead, before it is due.
    check(|_, _| (), NINE - HOUR, "send from +15005550006");
}

#[test]
fn too_late_it_is_cancelled() {
    let late = "cancel: too late: 3600 s after its time, more than the 3600 s allowed";
    check(|_, _| (), NINE + HOUR + TICK, late);
    // Retries and holds do not move the limit, and a deferral that was wanted does.
    check(|c, _| c.due = NINE + HOUR, NINE + HOUR + TICK, late);
    let deferred = |c: &mut Claim, _: &mut Rules| c.wanted_at = NINE + HOUR;
    check(deferred, NINE + HOUR + TICK, "send from +15005550006");
}

#[test]
fn the_rows_own_last_moment_counts_when_it_is_earlier() {
    let soon = NINE + Duration::from_secs(60);
    let own = |c: &mut Claim, _: &mut Rules| c.send_before = Some(soon);
    check(own, soon, "send from +15005550006");
    check(
        own,
        soon + TICK,
        "cancel: too late: send_before was 2026-01-01T09:01:00.000000Z",
    );
    check(
        |c, _| c.send_before = Some(NINE + 2 * HOUR),
        NINE + HOUR + TICK,
        "cancel: too late: 3600 s after its time, more than the 3600 s allowed",
    );
}

#[test]
fn it_expires_at_the_earlier_of_the_two_limits() {
    for (send_before, expires) in [
        (None, NINE + HOUR),
        (Some(NINE + TICK), NINE + TICK),
        (Some(NINE + 2 * HOUR), NINE + HOUR),
    ] {
        let claim = Claim {
            send_before,
            ..claim()
        };
        let Verdict::Send(cleared) =
            judge(&claim, &rules(), &ProviderCapabilities::all(PROVIDER), NINE)
        else {
            panic!("not sent with {send_before:?}");
        };
        assert_eq!(cleared.expires(), expires);
    }
}

#[test]
fn a_number_nobody_can_text() {
    check(
        |c, _| c.to_number = "310-555-1234".into(),
        NINE,
        "reject: to_number is not valid: it must start with + and the country code, \
         like +1… (not with 0 or 00)",
    );
    check(
        |c, _| c.to_number = "+13105551234000000".into(),
        NINE,
        "reject: to_number is not valid: it has 17 digits; the limit is 15",
    );
    check(
        |c, _| c.to_number = format!(" {TO}\n"),
        NINE,
        "send from +15005550006",
    );
}

#[test]
fn a_text_nobody_can_send() {
    for empty in ["", " ", "\n\t\u{3000}"] {
        check(
            |c, _| c.body = empty.into(),
            NINE,
            "reject: the body is empty",
        );
    }
    // Characters are counted, not bytes: an emoji has four of these.
    for letter in ["x", "é", "👍"] {
        let most = letter.repeat(PROVIDER.max_chars);
        check(|c, _| c.body = most, NINE, "send from +15005550006");
        let more = letter.repeat(PROVIDER.max_chars + 1);
        check(
            |c, _| c.body = more,
            NINE,
            "reject: the body has 321 characters, at most 320 can be sent",
        );
    }
}

#[test]
fn the_rows_sender_comes_first() {
    check(
        |c, _| c.from_number = Some("ACME".into()),
        NINE,
        "send from ACME",
    );
    for nobody in [None, Some(String::new()), Some("  ".into())] {
        check(
            |c, _| c.from_number.clone_from(&nobody),
            NINE,
            "send from +15005550006",
        );
        check(
            |c, r| {
                c.from_number.clone_from(&nobody);
                r.default_sender = None;
            },
            NINE,
            "reject: no sender: the row has no from_number and no sender is configured \
             (set TWILIO_SMS_FROM_NUMBER or TWILIO_MESSAGING_SERVICE_SID)",
        );
    }
    // A sender that is set and invalid is not silently replaced.
    check(
        |c, _| c.from_number = Some("13105551234".into()),
        NINE,
        "reject: from_number is not valid: it has 11 digits: a short code has 3 to 8, \
         and a phone number starts with +",
    );
}

#[test]
fn what_is_late_is_cancelled_even_if_it_could_never_go() {
    check(
        |c, _| c.to_number = String::new(),
        NINE + HOUR + TICK,
        "cancel: too late: 3600 s after its time, more than the 3600 s allowed",
    );
}

#[test]
fn consent_comes_before_the_hours_and_the_limit() {
    use crate::message::facts::{Limit, Preferences, QuietHours};
    let hour = 3_600_000_000;
    let asleep = Preferences {
        opted_out: true,
        quiet_hours: QuietHours::from_micros(8 * hour, 10 * hour),
        ..Preferences::default()
    };
    let awake = Preferences {
        opted_out: false,
        ..asleep.clone()
    };
    let over = Limit::Over { limit: 10 };
    check(
        |c, _| (c.facts.preferences, c.facts.limit) = (Some(asleep), over),
        NINE,
        "cancel: the recipient has opted out",
    );
    // A new day has a new limit.
    check(
        |c, _| (c.facts.preferences, c.facts.limit) = (Some(awake), over),
        NINE,
        "defer to 2026-01-01T10:00:00.000000Z: quiet hours 08:00-10:00 UTC",
    );
    check(
        |c, _| c.facts.limit = over,
        NINE,
        "cancel: Daily SMS limit reached",
    );
    let day = jiff::civil::date(2026, 1, 1);
    check(
        |c, _| c.facts.limit = Limit::Taken { day },
        NINE,
        "send from +15005550006",
    );
}

#[test]
fn a_message_follows_its_event() {
    check(
        |c, _| c.facts.event = Event::Gone,
        NINE,
        "cancel: Calendar event deleted",
    );
    let begins = NINE + Duration::from_secs(60);
    let reminds = |c: &mut Claim, _: &mut Rules| c.facts.event = Event::Begins(begins);
    check(reminds, begins, "send from +15005550006");
    check(
        reminds,
        begins + TICK,
        "cancel: too late: the event began at 2026-01-01T09:01:00.000000Z",
    );
    // What was wanted when it had begun does not remind of it, but what is only put back does.
    let after = |c: &mut Claim, _: &mut Rules| c.facts.event = Event::Begins(NINE);
    check(after, NINE + TICK, "send from +15005550006");
    check(
        |c, _| {
            c.facts.event = Event::Begins(begins);
            c.facts.scheduled_at = Some(NINE);
            c.wanted_at = begins + TICK;
        },
        begins + TICK,
        "cancel: too late: the event began at 2026-01-01T09:01:00.000000Z",
    );
}

#[test]
fn a_row_with_variables_is_rendered() {
    let template = || Template {
        name: "reminder".into(),
        text: "At {{time}}".into(),
        required_vars: Some("[\"time\"]".into()),
        max_length: Some(160),
        is_active: true,
    };
    let rendered = |vars: Option<&str>, template: Option<Template>| {
        let mut claim = claim();
        claim.facts.template_vars = vars.map(Into::into);
        claim.facts.template = template;
        match judge(&claim, &rules(), &ProviderCapabilities::all(PROVIDER), NINE) {
            Verdict::Send(cleared) => cleared.body().to_owned(),
            Verdict::Reject { reason } => format!("reject: {reason}"),
            other => panic!("{other:?}"),
        }
    };
    let vars = Some(r#"{"time": "9:00"}"#);
    assert_eq!(rendered(vars, Some(template())), "At 9:00");
    assert_eq!(rendered(None, Some(template())), SECRET);
    assert_eq!(
        rendered(vars, None),
        "reject: the row has template_vars, and no template with that template_id"
    );
    assert_eq!(
        rendered(Some("{}"), Some(template())),
        "reject: template reminder needs the variable time, which template_vars does not have"
    );
    let blank = Template {
        text: " {{x}}".into(),
        ..template()
    };
    assert_eq!(
        rendered(vars, Some(blank)),
        "reject: the text of the template is empty"
    );
    let endless = Template {
        text: "x".repeat(PROVIDER.max_chars + 1),
        max_length: None,
        ..template()
    };
    assert_eq!(
        rendered(vars, Some(endless)),
        "reject: the text of the template has 321 characters, at most 320 can be sent"
    );
}
