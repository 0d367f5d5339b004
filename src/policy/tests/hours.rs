//! Quiet hours and business hours, on every clock there is.

use jiff::Timestamp;
use jiff::civil::Time;
use proptest::prelude::*;

mod both;
mod business;
mod every_zone;

use super::*;
use crate::message::facts::{Preferences, Priority, QuietHours};

const BERLIN: &str = "Europe/Berlin";

fn moment(text: &str) -> Moment {
    let instant: Timestamp = text.parse().unwrap();
    Moment::from_micros(instant.as_microsecond())
}

fn quiet(from: &str, until: &str) -> QuietHours {
    QuietHours {
        start: from.parse().unwrap(),
        end: until.parse().unwrap(),
    }
}

/// A message for a recipient in this zone with these quiet hours, judged at `at` in UTC: the time
/// it is deferred to, or `at` itself if it is sent.
#[track_caller]
fn check(zone: &str, (from, until): (&str, &str), at: &str, expected: &str) {
    let mut claim = claim();
    claim.facts.timezone = Some(zone.into());
    claim.facts.preferences = Some(Preferences {
        quiet_hours: Some(quiet(from, until)),
        ..Preferences::default()
    });
    claim.due = moment(at);
    claim.wanted_at = claim.due;
    let until = match judge(
        &claim,
        &rules(),
        &ProviderCapabilities::all(PROVIDER),
        claim.due,
    ) {
        Verdict::Send(_) => claim.due,
        Verdict::Defer { until, reason } => {
            assert!(reason.text.starts_with("quiet hours "), "{reason}");
            until
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(until, moment(expected), "{until}");
}

#[test]
fn it_waits_for_the_exact_end_of_the_quiet_hours() {
    let night = ("22:00", "08:00");
    let end = "2026-07-02T06:00:00Z";
    check(BERLIN, night, "2026-07-01T20:00:00Z", end);
    check(BERLIN, night, "2026-07-01T21:00:00Z", end);
    check(BERLIN, night, "2026-07-02T05:59:59.999999Z", end);
    for open in ["2026-07-01T19:59:59.999999Z", end, "2026-07-02T12:00:00Z"] {
        check(BERLIN, night, open, open);
    }
    // Within one day, and to the second.
    let lunch = ("12:00:30", "13:15:01");
    check(
        BERLIN,
        lunch,
        "2026-07-01T10:00:30Z",
        "2026-07-01T11:15:01Z",
    );
    check(
        BERLIN,
        lunch,
        "2026-07-01T10:00:29Z",
        "2026-07-01T10:00:29Z",
    );
    // The same clock, without quiet hours.
    check(BERLIN, ("08:00", "08:00"), end, end);
    // Until midnight.
    check(
        "UTC",
        ("00:00", "23:59:59"),
        "2026-07-01T00:00:00Z",
        "2026-07-01T23:59:59Z",
    );
    check(
        "UTC",
        ("20:00", "00:00"),
        "2026-07-01T23:00:00Z",
        "2026-07-02T00:00:00Z",
    );
}

/// The rule is what the clock shows, whenever it shows it.
#[test]
fn clocks_that_jump() {
    // New York leaves out 02:00 to 03:00 on March 8: an end in there is the jump.
    let ny = "America/New_York";
    check(
        ny,
        ("22:00", "02:30"),
        "2026-03-08T06:00:00Z",
        "2026-03-08T07:00:00Z",
    );
    // Quiet hours that the clock skips have no effect.
    check(
        ny,
        ("02:00", "03:00"),
        "2026-03-08T07:00:00Z",
        "2026-03-08T07:00:00Z",
    );
    // A beginning in there begins with the jump.
    check(
        ny,
        ("02:30", "06:00"),
        "2026-03-08T07:00:00Z",
        "2026-03-08T10:00:00Z",
    );
    // On November 1 the clock shows 01:00 to 02:00 twice, and twice it ends at 01:30.
    check(
        ny,
        ("22:00", "01:30"),
        "2026-11-01T04:00:00Z",
        "2026-11-01T05:30:00Z",
    );
    check(
        ny,
        ("22:00", "01:30"),
        "2026-11-01T05:45:00Z",
        "2026-11-01T05:45:00Z",
    );
    check(
        ny,
        ("22:00", "01:30"),
        "2026-11-01T06:10:00Z",
        "2026-11-01T06:30:00Z",
    );
    // A night of 23 hours less, and of 25.
    check(
        ny,
        ("22:00", "08:00"),
        "2026-03-08T04:00:00Z",
        "2026-03-08T12:00:00Z",
    );
    check(
        ny,
        ("22:00", "08:00"),
        "2026-11-01T04:00:00Z",
        "2026-11-01T13:00:00Z",
    );
    // Lord Howe moves by half an hour, Samoa by a day: its December 30 never was.
    check(
        "Australia/Lord_Howe",
        ("22:00", "02:15"),
        "2026-10-03T14:00:00Z",
        "2026-10-03T15:30:00Z",
    );
    check(
        "Pacific/Apia",
        ("22:00", "08:00"),
        "2011-12-30T09:30:00Z",
        "2011-12-30T18:00:00Z",
    );
}

#[test]
fn urgent_messages_pass_if_the_installation_says_so() {
    let of = |priority, passes| {
        let mut claim = claim();
        claim.facts.priority = priority;
        claim.facts.preferences = Some(Preferences {
            quiet_hours: Some(quiet("08:30", "10:00")),
            ..Preferences::default()
        });
        let rules = Rules {
            urgent_passes_quiet_hours: passes,
            ..rules()
        };
        verdict(&claim, &rules, NINE)
    };
    let deferred = "defer to 2026-01-01T10:00:00.000000Z: quiet hours 08:30-10:00 UTC";
    assert_eq!(of(Priority::Urgent, true), "send from +15005550006");
    assert_eq!(of(Priority::Urgent, false), deferred);
    assert_eq!(of(Priority::High, true), deferred);
}

#[test]
fn a_zone_that_is_none_is_shown_with_the_deferral() {
    check_claim(
        |c, _| {
            c.facts.timezone = Some("Mars/Olympus".into());
            c.facts.preferences = Some(Preferences {
                quiet_hours: Some(quiet("09:00", "11:00")),
                timezone: Some("Europe/London".into()),
                ..Preferences::default()
            });
        },
        "defer to 2026-01-01T11:00:00.000000Z: quiet hours 09:00-11:00 Europe/London \
         (timezone is not an IANA time zone)",
    );
}

#[track_caller]
fn check_claim(change: impl FnOnce(&mut Claim, &mut Rules), expected: &str) {
    super::check(change, NINE, expected);
}

#[test]
fn what_waits_until_it_has_expired_is_cancelled_at_once() {
    let night = |c: &mut Claim| {
        c.facts.preferences = Some(Preferences {
            quiet_hours: Some(quiet("09:00", "11:00")),
            ..Preferences::default()
        });
    };
    check_claim(
        |c, _| {
            night(c);
            c.send_before = Some(NINE + 2 * HOUR - TICK);
        },
        "cancel: quiet hours 09:00-11:00 UTC until 2026-01-01T11:00:00.000000Z, \
         and send_before is 2026-01-01T10:59:59.999999Z",
    );
    check_claim(
        |c, _| {
            night(c);
            c.facts.event = Event::Begins(NINE + HOUR);
        },
        "cancel: quiet hours 09:00-11:00 UTC until 2026-01-01T11:00:00.000000Z, \
         and the event begins at 2026-01-01T10:00:00.000000Z",
    );
    let deferred = "defer to 2026-01-01T11:00:00.000000Z: quiet hours 09:00-11:00 UTC";
    check_claim(
        |c, _| {
            night(c);
            c.send_before = Some(NINE + 2 * HOUR);
            // Longer than the lateness that is allowed: that counts from its end.
        },
        deferred,
    );
    // It was wanted after the event began, so it does not remind of it.
    check_claim(
        |c, _| {
            night(c);
            c.facts.event = Event::Begins(NINE);
        },
        deferred,
    );
}
