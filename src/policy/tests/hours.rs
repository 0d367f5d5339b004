//! Quiet hours and business hours, on every clock there is.

use jiff::Timestamp;
use jiff::civil::Time;
use proptest::prelude::*;

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

/// A message for somebody in this zone with these quiet hours, judged at `at` in UTC: the moment
/// it is deferred to, `at` itself if it goes.
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
    let until = match judge(&claim, &rules(), claim.due) {
        Verdict::Send(_) => claim.due,
        Verdict::Defer { until, reason } => {
            assert!(reason.starts_with("quiet hours "), "{reason}");
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
    // The same clock, and nobody is to be left alone.
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
    // Quiet hours that are left out, disturb nobody.
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
        told(&claim, &rules, NINE)
    };
    let deferred = "defer to 2026-01-01T10:00:00.000000Z: quiet hours 08:30-10:00 UTC";
    assert_eq!(of(Priority::Urgent, true), "send from +15005550006");
    assert_eq!(of(Priority::Urgent, false), deferred);
    assert_eq!(of(Priority::High, true), deferred);
}

#[test]
fn a_zone_that_is_none_is_told_with_the_deferral() {
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
         (timezone \"Mars/Olympus\" is no IANA zone)",
    );
}

#[track_caller]
fn check_claim(change: impl FnOnce(&mut Claim, &mut Rules), expected: &str) {
    super::check(change, NINE, expected);
}

#[test]
fn what_waits_until_it_is_worth_nothing_is_cancelled_at_once() {
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

fn weekdays() -> BusinessHours {
    "mon-fri 09:00-20:00".parse().unwrap()
}

/// 2026-01-01 was a Thursday.
#[test]
fn business_hours_wait_for_the_next_opening() {
    let open = |hours: &str, zone: &str, at: &str| {
        let mut claim = claim();
        claim.due = moment(at);
        claim.wanted_at = claim.due;
        let rules = Rules {
            business_hours: Some(hours.parse().unwrap()),
            timezone: Zones::bundled().get(zone).unwrap(),
            ..rules()
        };
        let due = claim.due;
        told(&claim, &rules, due)
    };
    let goes = "send from +15005550006";
    let hours = "mon-fri 09:00-20:00";
    assert_eq!(open(hours, "UTC", "2026-01-01T09:00:00Z"), goes);
    assert_eq!(open(hours, "UTC", "2026-01-01T19:59:59.999999Z"), goes);
    assert_eq!(
        open(hours, "UTC", "2026-01-02T20:00:00Z"),
        "defer to 2026-01-05T09:00:00.000000Z: outside of mon-fri 09:00-20:00 UTC"
    );
    assert_eq!(
        open(hours, "America/Los_Angeles", "2026-03-07T12:00:00Z"),
        // The clock goes forward on Sunday.
        "defer to 2026-03-09T16:00:00.000000Z: outside of mon-fri 09:00-20:00 America/Los_Angeles"
    );
    let nights = "fri-sat 22:00-02:00";
    assert_eq!(open(nights, "UTC", "2026-01-03T01:59:59Z"), goes);
    assert_eq!(
        open(nights, "UTC", "2026-01-03T02:00:00Z"),
        "defer to 2026-01-03T22:00:00.000000Z: outside of fri-sat 22:00-02:00 UTC"
    );
    assert_eq!(open("sun 22:00-02:00", "UTC", "2026-01-05T01:00:00Z"), goes);
}

#[test]
fn both_must_suit() {
    let both = |quiet_hours, zone: &str| {
        let mut claim = claim();
        claim.facts.timezone = Some(zone.into());
        claim.facts.preferences = Some(Preferences {
            quiet_hours: Some(quiet_hours),
            ..Preferences::default()
        });
        // Saturday noon.
        claim.due = moment("2026-01-03T12:00:00Z");
        claim.wanted_at = claim.due;
        let rules = Rules {
            business_hours: Some(weekdays()),
            ..rules()
        };
        let due = claim.due;
        told(&claim, &rules, due)
    };
    assert_eq!(
        both(quiet("22:00", "08:00"), "America/Los_Angeles"),
        "defer to 2026-01-05T16:00:00.000000Z: quiet hours 22:00-08:00 America/Los_Angeles, \
         outside of mon-fri 09:00-20:00 UTC"
    );
    assert_eq!(
        both(quiet("20:00", "09:30"), "UTC"),
        "defer to 2026-01-05T09:30:00.000000Z: outside of mon-fri 09:00-20:00 UTC, \
         quiet hours 20:00-09:30 UTC"
    );
    assert_eq!(
        both(quiet("09:00", "20:00"), "UTC"),
        "cancel: no hour to send at within 8 days: quiet hours 09:00-20:00 UTC, \
         outside of mon-fri 09:00-20:00 UTC"
    );
}

#[test]
fn business_hours_are_read() {
    let day = 24 * 3600;
    let ranges = |text: &str| -> Vec<(i64, i64)> {
        let hours: BusinessHours = text.parse().unwrap();
        let second = |us| us / 1_000_000;
        let parts = hours.ranges().iter();
        parts.map(|r| (second(r.start), second(r.end))).collect()
    };
    let hour = 3600;
    assert_eq!(ranges("mon 9:00-10:00"), [(9 * hour, 10 * hour)]);
    assert_eq!(ranges("Mon-Sun 00:00-24:00"), [(0, 7 * day)]);
    assert_eq!(
        ranges("tue,thursday 09:00-12:00 13:00-14:00:30"),
        [
            (day + 9 * hour, day + 12 * hour),
            (day + 13 * hour, day + 14 * hour + 30),
            (3 * day + 9 * hour, 3 * day + 12 * hour),
            (3 * day + 13 * hour, 3 * day + 14 * hour + 30),
        ]
    );
    assert_eq!(
        ranges("sat-mon 10:00-11:00; mon 10:30-12:00"),
        [
            (10 * hour, 12 * hour),
            (5 * day + 10 * hour, 5 * day + 11 * hour),
            (6 * day + 10 * hour, 6 * day + 11 * hour),
        ]
    );
    // With dashes, as an editor makes them.
    assert_eq!(
        ranges("Mon\u{2013}Tue 09:00\u{2013}10:00"),
        ranges("mon-tue 09:00-10:00")
    );
    // The night after Sunday ends on Monday.
    assert_eq!(
        ranges("sun 23:00-01:00"),
        [(0, hour), (6 * day + 23 * hour, 7 * day)]
    );
    for (wrong, why) in [
        ("", "there are no days and hours in it"),
        ("mon-fri", "no hours follow \"mon-fri\""),
        (
            "09:00-20:00",
            "\"09:00-20:00\" stands without days before it",
        ),
        (
            "mon 09:00-09:00",
            "\"09:00-09:00\" is empty; the whole day is 00:00-24:00",
        ),
        (
            "mon 24:00-25:00",
            "\"24:00-25:00\" is neither days (mon, mon-fri) nor hours (09:00-20:00)",
        ),
        (
            "mo 09:00-10:00",
            "\"mo\" is neither days (mon, mon-fri) nor hours (09:00-20:00)",
        ),
        (
            "mon 9-17",
            "\"9-17\" is neither days (mon, mon-fri) nor hours (09:00-20:00)",
        ),
        (
            "mon 09:00-20:60",
            "\"09:00-20:60\" is neither days (mon, mon-fri) nor hours (09:00-20:00)",
        ),
        ("mon 09:00-17:00 tue", "no hours follow \"tue\""),
    ] {
        let error = wrong.parse::<BusinessHours>().unwrap_err();
        assert_eq!(error.to_string(), why, "{wrong:?}");
    }
}

/// What a clock in this zone shows.
fn shown(zone: &TimeZone, at: Moment) -> Time {
    let instant = Timestamp::from_microsecond(at.as_micros()).unwrap();
    zone.to_datetime(instant).time()
}

fn is_quiet(hours: &QuietHours, shown: Time) -> bool {
    if hours.start <= hours.end {
        (hours.start..hours.end).contains(&shown)
    } else {
        shown >= hours.start || shown < hours.end
    }
}

/// Every zone of the bundle, at the changes of its clock between 1970 and 2040, with quiet
/// hours that begin and end about that time: the end is ahead, not quiet, and the first such.
#[test]
fn in_every_zone_the_end_is_the_first_moment_that_is_not_quiet() {
    let (from, until) = (
        moment("1970-01-01T00:00:00Z"),
        moment("2040-01-01T00:00:00Z"),
    );
    let zones = Zones::bundled();
    let names: Vec<String> = jiff::tz::TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.to_string())
        .collect();
    assert!(names.len() > 500, "{}", names.len());
    let mut checked = 0;
    for (n, name) in names.iter().enumerate() {
        let Some(zone) = zones.get(name) else {
            continue;
        };
        let first = Timestamp::from_microsecond(from.as_micros()).unwrap();
        let changes: Vec<Moment> = zone
            .following(first)
            .map(|change| Moment::from_micros(change.timestamp().as_microsecond()))
            .take_while(|at| *at < until)
            .collect();
        // Some of each: the first ones, the last ones, and in between by chance of the name.
        let step = (changes.len() / 5).max(1);
        for (m, change) in changes.iter().enumerate().skip(n % step).step_by(step) {
            for (k, (ahead, length)) in [(30, 60), (10, 20), (90, 450), (15, 1_410)]
                .iter()
                .enumerate()
            {
                let seconds = i64::try_from((n * 7 + m * 13 + k * 17) % 60).unwrap();
                checked += check_about(&zone, *change, ahead * 60 + seconds, *length);
            }
        }
    }
    assert!(checked > 5_000, "{checked}");
}

/// Quiet hours that begin so many seconds before a change, as the clock shows it then, and last
/// so many minutes. Returns how many moments were looked at.
fn check_about(zone: &TimeZone, change: Moment, ahead: i64, minutes: i64) -> usize {
    let begin = Moment::from_micros(change.as_micros() - ahead * 1_000_000);
    let start = shown(zone, begin);
    let end = start.wrapping_add(jiff::SignedDuration::from_mins(minutes));
    let hours = QuietHours { start, end };
    let tries = [0, ahead - 1, ahead, ahead + 601, ahead + 5_400];
    for after in tries {
        let at = Moment::from_micros(begin.as_micros() + after * 1_000_000);
        let until = quiet::end(&hours, zone, at).unwrap();
        let told = || format!("{zone:?} {hours:?} at {at}: {until}");
        assert!(!is_quiet(&hours, shown(zone, until)), "{}", told());
        if !is_quiet(&hours, shown(zone, at)) {
            assert_eq!(until, at, "{}", told());
            continue;
        }
        assert!(until > at, "{}", told());
        // Between two changes the clock runs evenly, and no open part is shorter than half an hour.
        let span = until.as_micros() - at.as_micros();
        let quarter = 900_000_000;
        let jump = change.as_micros() - at.as_micros();
        let looks = (0..span).step_by(quarter).chain([jump - 1, jump, span - 1]);
        for before in looks.filter(|before| (0..span).contains(before)) {
            let before = Moment::from_micros(at.as_micros() + before);
            assert!(is_quiet(&hours, shown(zone, before)), "{} {before}", told());
        }
    }
    tries.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the hours, the zone and the moment: what is deferred goes at the end of it, and
    /// a moment that is open is the end of itself.
    #[test]
    fn a_deferral_ends_where_it_goes(
        zone in prop::sample::select(vec![
            "UTC", "America/Los_Angeles", "Europe/London", "Australia/Lord_Howe",
            "Africa/Casablanca", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham",
        ]),
        start in 0_i64..86_400,
        end in 0_i64..86_400,
        at in 0_i64..2_000_000_000,
        business in prop::bool::ANY,
    ) {
        let mut claim = claim();
        claim.due = Moment::from_micros(at * 1_000_000);
        claim.wanted_at = claim.due;
        claim.facts.timezone = Some(zone.into());
        claim.facts.preferences = Some(Preferences {
            quiet_hours: QuietHours::from_micros(start * 1_000_000, end * 1_000_000),
            ..Preferences::default()
        });
        let rules = Rules {
            business_hours: business.then(weekdays),
            timezone: Zones::bundled().get("America/New_York").unwrap(),
            ..rules()
        };
        match judge(&claim, &rules, claim.due) {
            Verdict::Defer { until, .. } => {
                prop_assert!(until > claim.due);
                claim.wanted_at = until;
                let at_end = judge(&claim, &rules, until);
                prop_assert!(matches!(at_end, Verdict::Send(_)), "{:?}", at_end);
                let just_before = judge(&claim, &rules, until - TICK);
                let waits = matches!(just_before, Verdict::Defer { until: same, .. } if same == until);
                prop_assert!(waits, "{:?}", just_before);
            }
            Verdict::Send(_) => {}
            // Nobody's day is that short but where it is.
            Verdict::Cancel { reason } => prop_assert!(reason.starts_with("no hour"), "{}", reason),
            Verdict::Reject { reason } => prop_assert!(false, "{}", reason),
        }
    }
}
