//! Quiet hours at every change of every clock in the zone data.

use jiff::tz::TimeZone;

use super::business::weekdays;
use super::*;

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
/// so many minutes. Returns how many moments were checked.
fn check_about(zone: &TimeZone, change: Moment, ahead: i64, minutes: i64) -> usize {
    let begin = Moment::from_micros(change.as_micros() - ahead * 1_000_000);
    let start = shown(zone, begin);
    let end = start.wrapping_add(jiff::SignedDuration::from_mins(minutes));
    let hours = QuietHours { start, end };
    let tries = [0, ahead - 1, ahead, ahead + 601, ahead + 5_400];
    for after in tries {
        let at = Moment::from_micros(begin.as_micros() + after * 1_000_000);
        let until = quiet::end(&hours, zone, at).unwrap();
        let context = || format!("{zone:?} {hours:?} at {at}: {until}");
        assert!(!is_quiet(&hours, shown(zone, until)), "{}", context());
        if !is_quiet(&hours, shown(zone, at)) {
            assert_eq!(until, at, "{}", context());
            continue;
        }
        assert!(until > at, "{}", context());
        // Between two changes the clock runs evenly, and no open part is shorter than half an hour.
        let span = until.as_micros() - at.as_micros();
        let quarter = 900_000_000;
        let jump = change.as_micros() - at.as_micros();
        let looks = (0..span).step_by(quarter).chain([jump - 1, jump, span - 1]);
        for before in looks.filter(|before| (0..span).contains(before)) {
            let before = Moment::from_micros(at.as_micros() + before);
            assert!(
                is_quiet(&hours, shown(zone, before)),
                "{} {before}",
                context()
            );
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
        match judge(&claim, &rules, &ProviderCapabilities::all(PROVIDER), claim.due) {
            Verdict::Defer { until, .. } => {
                prop_assert!(until > claim.due);
                claim.wanted_at = until;
                let at_end = judge(&claim, &rules, &ProviderCapabilities::all(PROVIDER), until);
                prop_assert!(matches!(at_end, Verdict::Send(_)), "{:?}", at_end);
                let just_before = judge(&claim, &rules, &ProviderCapabilities::all(PROVIDER), until - TICK);
                let waits = matches!(just_before, Verdict::Defer { until: same, .. } if same == until);
                prop_assert!(waits, "{:?}", just_before);
            }
            Verdict::Send(_) => {}
            // No other zone has a day that short.
            Verdict::Cancel { reason } => prop_assert!(reason.text.starts_with("no hour"), "{}", reason),
            Verdict::Reject { reason } => prop_assert!(false, "{}", reason),
        }
    }
}
